//! The vendors that are plain: a file each, and a line here.

mod acme;
mod mistral;
mod xai;

use crate::world::Mounted;

pub fn all() -> Vec<Mounted> {
    vec![
        Mounted::plain::<acme::Acme>("acme", "/acme"),
        Mounted::plain::<xai::Xai>("xai", "/xai"),
        Mounted::plain::<mistral::Mistral>("mistral", "/mistral"),
    ]
}
