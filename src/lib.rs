pub mod base;
pub mod logical;
