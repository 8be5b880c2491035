//! Oracles: second opinions on what the product does, written from the providers' documentation and the RFCs.
//!
//! Nothing here calls `shared` to find out what is right.

pub mod rows;
pub mod signed;
pub mod tree;
