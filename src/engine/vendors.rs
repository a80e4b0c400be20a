//! Vendors as the paths meet them: found by name, their fields as one set, their fields out of a request.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::framework::unrecognized;
use crate::logical::Object;
use crate::providers::{self, About, CUSTOM, Vendor};
use crate::schema::{Field, Invalid, Values};

/// Every vendor's fields of one sort, each once; the help says whose they are.
pub fn all_fields(of: fn(&About) -> &Vec<Field>) -> Vec<Field> {
    let mut fields: BTreeMap<&str, (Field, Vec<String>)> = BTreeMap::new();
    for about in providers::all().map(|vendor| vendor.about()).chain([providers::custom()]) {
        for field in of(about) {
            let required = if field.required { ", required" } else { "" };
            let note = format!("{}{required}: {}", about.name, field.help);
            let union = Field { required: false, ..field.clone() };
            fields.entry(&field.name).or_insert_with(|| (union, Vec::new())).1.push(note);
        }
    }
    fields.into_values().map(|(field, notes)| Field { help: notes.join(" | ").into(), ..field }).collect()
}

/// The vendor's own fields out of what a request sent, and a warning about what no vendor knows. A field that only other
/// vendors have is refused by name.
pub fn own_fields(
    vendor: &dyn Vendor,
    of: fn(&About) -> &Vec<Field>,
    sent: &Object,
) -> Result<(Values, Option<String>), Invalid> {
    let own = of(vendor.about());
    let (values, unknown) = Values::parse(own, sent)?;
    let known = if unknown.is_empty() { Vec::new() } else { all_fields(of) };
    if let Some(field) = unknown.iter().find(|name| known.iter().any(|field| field.name == name.as_str())) {
        let names: Vec<_> = own.iter().map(|field| field.name.as_ref()).collect();
        let problem = format!("is not a field of provider {}, which has {}", vendor.about().name, names.join(", "));
        return Err(Invalid::new(field.as_str(), problem));
    }
    Ok((values, unrecognized(&unknown)))
}

/// The vendor that a config names. A custom one is made from the definition among the fields of its account.
pub fn named(name: &str, account: &Object) -> Result<Arc<dyn Vendor>, Invalid> {
    if name == CUSTOM {
        return providers::define(account);
    }
    providers::by_name(name).ok_or_else(|| {
        let names = providers::all().map(|vendor| vendor.about().name.as_ref()).chain([CUSTOM]);
        Invalid::new("provider", format!("expected one of {}", names.collect::<Vec<_>>().join(", ")))
    })
}
