//! The Lambda function.

fn main() -> Result<(), shared::run::Error> {
    shared::run(&wechat::PROVIDER)
}
