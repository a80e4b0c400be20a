pub mod base;
pub mod framework;
pub mod go_plugin;
pub mod logical;
pub mod schema;
pub mod vault;
