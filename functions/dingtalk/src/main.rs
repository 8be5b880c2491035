//! The Lambda function.

fn main() -> Result<(), shared::run::Error> {
    shared::run(&dingtalk::PROVIDER)
}
