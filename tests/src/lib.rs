//! Test doubles: what stands around a function on AWS, so that the built binaries are driven from outside.
//!
//! They share no code with the product. Every call here blocks, so that a test reads from top to bottom;
//! each double listens on 127.0.0.1 only and ends when it is dropped.

pub mod clock;
pub mod dynamo;
pub mod event;
pub mod fault;
pub mod keys;
pub mod lambda;
pub mod ministack;
pub mod moto;
pub mod s3;
pub mod sqs;
pub mod vector;

mod emulator;
mod http;
mod sigv4;

#[cfg(test)]
mod cases;
