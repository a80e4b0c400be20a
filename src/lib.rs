pub mod base;
pub mod framework;
pub mod logical;
pub mod schema;
