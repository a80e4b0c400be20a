//! The vendors' fields as one set for paths that serve them all.

use std::collections::BTreeMap;

use crate::providers::{self, About, Vendor};
use crate::schema::{Field, Invalid, Values};

/// Every vendor's fields of one sort, each once; the help says whose they are.
pub fn all_fields(of: fn(&About) -> &Vec<Field>) -> Vec<Field> {
    let mut fields: BTreeMap<&str, (Field, Vec<String>)> = BTreeMap::new();
    for about in providers::ALL.iter().map(|vendor| vendor.about()) {
        for field in of(about) {
            let required = if field.required { ", required" } else { "" };
            let note = format!("{}{required}: {}", about.name, field.help);
            let union = Field { required: false, ..field.clone() };
            fields.entry(&field.name).or_insert_with(|| (union, Vec::new())).1.push(note);
        }
    }
    fields.into_values().map(|(field, notes)| Field { help: notes.join(" | ").into(), ..field }).collect()
}

/// The vendor's own fields out of a request. One that only other vendors have is refused by name.
pub fn own_fields(
    vendor: &dyn Vendor,
    own: &[Field],
    all: fn(&About) -> &Vec<Field>,
    values: &Values,
) -> Result<Values, Invalid> {
    let foreign = all_fields(all)
        .into_iter()
        .find(|field| values.get(&field.name).is_some() && own.iter().all(|own| own.name != field.name));
    if let Some(field) = foreign {
        let names: Vec<_> = own.iter().map(|field| field.name.as_ref()).collect();
        let problem = format!("is not a field of provider {}, which has {}", vendor.about().name, names.join(", "));
        return Err(Invalid::new(field.name, problem));
    }
    // The union took the first vendor's kind; the own kind decides.
    let sent = values.only(own).to_object();
    Values::parse(own, &sent).map(|(values, _)| values)
}

/// The vendor that a config names.
pub fn named(name: &str) -> Result<&'static dyn Vendor, Invalid> {
    providers::by_name(name).ok_or_else(|| {
        let names: Vec<_> = providers::ALL.iter().map(|vendor| vendor.about().name).collect();
        Invalid::new("provider", format!("expected one of {}", names.join(", ")))
    })
}
