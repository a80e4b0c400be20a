pub mod base;
pub mod go_plugin;
pub mod logical;
