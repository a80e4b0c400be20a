//! The vendors that are plain, a file each and a line here; and AWS, which is not.

mod acme;
mod bedrock;
mod mistral;
mod xai;

use crate::world::Mounted;

pub fn all() -> Vec<Mounted> {
    let mut all = vec![
        Mounted::plain::<acme::Acme>("acme", "/acme"),
        Mounted::plain::<xai::Xai>("xai", "/xai"),
        Mounted::plain::<mistral::Mistral>("mistral", "/mistral"),
    ];
    all.extend(bedrock::mounted());
    all
}
