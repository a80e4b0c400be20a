pub mod base;
pub mod logical;
pub mod schema;
