//! Keys that are replaced while they are in use: the credentials of configs.

mod admin_key;
mod due;
mod root;
mod schedule;

pub use admin_key::AdminKey;
pub use due::{Rotations, tend};
pub use root::{check, holds, in_use_last, paths, retire, show};
pub use schedule::{Schedule, ScheduleChange};
