//! The `kafkascope` program.

fn main() {}
