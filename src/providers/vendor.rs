use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{Account, Fault, Http, Signer};
use crate::base::{Clock, Rng, Secret, Time};
use crate::schema::{Field, Invalid, Values};

/// One AI vendor: how its keys are made, found, prolonged and ended.
#[async_trait]
pub trait Vendor: Send + Sync {
    /// What the vendor is called, what it needs and what it can do. Static.
    fn about(&self) -> &About;

    /// Parses an account: endpoint, identity and credential kept apart. `values` holds the fields of
    /// `about().account`, merged with what is stored, required ones present.
    fn account(&self, values: &Values) -> Result<Account, Invalid>;

    /// Checks what a role asks of a key against what this vendor can grant, and returns it normalized.
    fn scope(&self, account: &Account, values: &Values) -> Result<Scope, Invalid>;

    /// Asks the vendor whose credential this is and whether it can do what the engine needs. Changes nothing.
    async fn probe(&self, cx: &Cx<'_>) -> Result<Probe, Fault>;

    /// Makes one key. Everything it creates carries `order.name`. Not repeatable unless `Find::ByOurId`: of an
    /// error only `FaultKind::made_nothing` says that nothing was made. Where a later step fails, undoes the earlier ones.
    async fn issue(&self, cx: &Cx<'_>, order: &Order<'_>) -> Result<Issued, Fault>;

    /// Ends one key and everything that was made for it. Repeatable: a key that is gone is `Gone::Already`, judged by
    /// the vendor's parsed error and never by a bare 404.
    async fn end(&self, cx: &Cx<'_>, key: &Ref, secret: Option<&Secret>) -> Result<Gone, Fault>;

    /// How this account's credentials stop working. At some vendors that hangs on the account: no key of one that ends
    /// by its expiry alone is given to `end`.
    fn ends(&self, _account: &Account) -> End {
        self.about().can.end
    }

    /// Whether nothing of a key is left once the vendor's own expiry has ended it: not where what was made for it stays.
    fn expires_whole(&self, _key: &Ref) -> bool {
        true
    }

    /// Whether the vendor takes this key yet, asked with the key itself and at no cost: some need a while to know a fresh one.
    /// None where it cannot be asked so, or the answer is about something else.
    async fn takes(&self, _cx: &Cx<'_>, _key: &Secret) -> Result<Option<bool>, Fault> {
        Ok(None)
    }

    /// The slots that this account's keys are values of, the same for every account of one resource. Only where
    /// `Source::Slots`.
    fn slots_of(&self, _account: &Account) -> Option<String> {
        None
    }

    /// The account's field without which no credential of its own can be made, where it lacks one. Only where
    /// `Purpose::Admin` can be asked for.
    fn lacks_for_admin(&self, _account: &Account) -> Option<String> {
        None
    }

    /// How a key stands that somebody else made. Only where `Source::Activate`.
    async fn standing(&self, _cx: &Cx<'_>, _key: &Ref) -> Result<Standing, Fault> {
        Err(Fault::invalid("has no keys that are switched on and off"))
    }

    /// Switches such a key on; `end` switches it off. Repeatable. Only where `Source::Activate`.
    async fn activate(&self, _cx: &Cx<'_>, _key: &Ref) -> Result<(), Fault> {
        Err(Fault::invalid("has no keys that are switched on and off"))
    }

    /// Moves the vendor's expiry; returns what the vendor granted. Only where `Expiry::Movable`.
    async fn extend(&self, cx: &Cx<'_>, key: &Ref, until: Time) -> Result<Time, Fault>;

    /// A page of what carries a name starting with `prefix`: keys and their helper objects, expired ones too.
    /// Every entry's `key` can be given to `end`.
    async fn list(&self, cx: &Cx<'_>, prefix: &str, from: Option<Cursor>) -> Result<Page, Fault>;
}

/// What a vendor call may use.
pub struct Cx<'a> {
    pub account: &'a Account,
    pub http: &'a Http,
    pub clock: &'a dyn Clock,
    pub rng: &'a dyn Rng,
    /// Signs for whoever this call is made for: the caller where a token is made for it, else the account itself.
    pub signer: &'a dyn Signer,
}

/// Text of a declaration: written in the program, or read from a definition.
pub type Text = Cow<'static, str>;

/// Such texts, out of the program.
pub(super) fn texts(texts: &[&'static str]) -> Vec<Text> {
    texts.iter().map(|&text| text.into()).collect()
}

/// A vendor's declaration. Help, OpenAPI, `providers/` and the README's table are made from it.
pub struct About {
    /// As in `provider=…`: lower case, never changed once released.
    pub name: Text,
    /// As the vendor writes itself.
    pub title: Text,
    /// Fields of a config. Those of `Kind::Secret` are the credential, all others the identity of the account.
    pub account: Vec<Field>,
    /// Whether those that are not secret name one account. Where they do not, a new credential may be another account's,
    /// whose "no such key" says nothing of the keys made before.
    pub identity_is_complete: bool,
    /// Fields of a role.
    pub scope: Vec<Field>,
    pub can: Abilities,
    /// Longest name of a key, in characters.
    pub name_limit: usize,
    /// How fast a revoked key is refused, as far as is known.
    pub revocation: Text,
    /// What the vendor's documents do not say or what differs between its versions, a sentence each.
    pub unproven: Vec<Text>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abilities {
    pub source: Source,
    pub end: End,
    pub find: Find,
    pub expiry: Expiry,
    pub purposes: &'static [Purpose],
    /// What can be limited per key, in the words of the README's table: `models`, `permissions`, `spend`, `rate`, `ip`.
    pub limits: Vec<Text>,
    /// What the vendor's API has and this engine does not use: `last used`, `usage`, `admin key`, `switch off`.
    pub unused: Vec<Text>,
    /// Whether `Vendor::takes` asks: there is a call at no cost that every key may make.
    pub tries_keys: bool,
}

/// How a credential comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A key is created by the vendor's API.
    Create,
    /// A token is exchanged or signed.
    Token,
    /// So many fixed slots whose value is regenerated.
    Slots(u8),
    /// An existing key is switched on.
    Activate,
}

/// How a credential stops working.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Deleted by its id.
    Delete,
    /// Revoked by presenting its own value.
    BySecret,
    /// Switched off.
    Deactivate,
    /// Its slot gets another value, which nobody is told.
    Regenerate,
    /// Only by its expiry.
    Expires,
}

/// How an unknown outcome of `issue` is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// By listing and comparing names; a fresh key may be missing from the listing for so long.
    ByName { lag: Duration },
    /// By an id or value that we chose: `issue` is repeatable.
    ByOurId,
    /// It cannot be.
    Never,
    /// It need not be: a value whose answer was lost is with nobody.
    Unneeded,
}

/// The vendor's own expiry of a key: the safety net when Vault is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    Never,
    /// Set once, when the key is made.
    Fixed(Limits),
    /// Can be moved by `extend`.
    Movable(Limits),
}

impl Expiry {
    /// The limits, where there is an expiry.
    pub const fn limits(self) -> Option<Limits> {
        match self {
            Self::Never => None,
            Self::Fixed(limits) | Self::Movable(limits) => Some(limits),
        }
    }
}

/// Shortest and longest life that a vendor's expiry can be set to, from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub shortest: Duration,
    pub longest: Duration,
}

/// What `issue` may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Lease,
    Static,
    Admin,
}

/// The name of everything made for one key: `<tag>-<middle>-<id>`, unique, in `[a-z0-9-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(pub String);

/// What a role grants, checked by the vendor.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope(pub Values);

/// One key to be made.
pub struct Order<'a> {
    pub purpose: Purpose,
    pub name: &'a KeyName,
    pub scope: &'a Scope,
    /// When the vendor itself should end the key; none where the vendor cannot.
    pub until: Option<Time>,
    /// The key that must go on working beside it: where keys are values of slots, another slot is taken.
    pub keeps: Option<&'a Ref>,
}

/// Where a key is at the vendor: all that `end` and `extend` need. JSON with a version, no secret: it is
/// stored in clear in the ledger and in the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    /// The vendor's id of the key, shown to users.
    pub id: String,
    /// What else the vendor needs (the service account that was made for it, …), as the vendor wrote it.
    pub extra: Map<String, Value>,
}

impl Ref {
    /// Version of what `extra` holds.
    const VERSION: u64 = 1;

    pub(super) fn new(id: impl Into<String>, extra: &[(&str, &str)]) -> Self {
        let version = ("v".to_owned(), Value::from(Self::VERSION));
        let texts = extra.iter().map(|(name, text)| ((*name).to_owned(), Value::from(*text)));
        Self { id: id.into(), extra: std::iter::once(version).chain(texts).collect() }
    }

    /// One of the texts of `extra`.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.extra.get(name)?.as_str()
    }
}

/// A fresh key.
pub struct Issued {
    pub key: Ref,
    pub secret: Secret,
    /// What belongs to the key and is no secret by itself or no use alone (a public key, a user), by the name of the
    /// answer's field.
    pub parts: BTreeMap<String, Secret>,
    /// The vendor's expiry as the vendor granted it.
    pub expires: Option<Time>,
    /// Headers that a client must send beside its key.
    pub headers: BTreeMap<String, String>,
    /// What the caller should know, a sentence each.
    pub warnings: Vec<String>,
}

/// How a key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    Now,
    /// It was not there any more.
    Already,
    /// The vendor took the order and will do it.
    Later,
}

impl Gone {
    /// For what was made seconds ago: another replica may not have heard of it, so that "not there" proves nothing.
    pub(super) fn fresh(self) -> Result<(), Fault> {
        match self {
            Self::Now => Ok(()),
            Self::Already => Err(Fault::unknown("does not know it yet")),
            Self::Later => Err(Fault::unknown("has not deleted it yet")),
        }
    }
}

/// How an existing key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub switch: Switch,
    /// What the vendor shows of the key's value, such as `sk-a...xyz`; none where it shows nothing. To compare with: it may
    /// be any text.
    pub hint: Option<String>,
}

/// Whether an existing key works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
    /// It does not work and cannot be switched on, in the vendor's word for that.
    Dead(String),
    /// The vendor does not have it.
    Missing,
    /// In a state that nothing is known about, in the vendor's word: it may work.
    Strange(String),
}

/// What `probe` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Who the credential belongs to or which part of the account it reaches, as the vendor calls it.
    pub identity: Option<String>,
    /// Where the credential itself is at the vendor, so that it can be ended once another has taken its place; none
    /// where the vendor does not tell.
    pub credential: Option<Ref>,
    /// What the credential cannot do and the engine needs, each with the way to mend it. Empty: all is well.
    pub missing: Vec<String>,
    /// What could not be tried without changing something.
    pub warnings: Vec<String>,
}

/// Where a listing goes on; only its vendor can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// A page of a listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub found: Vec<Found>,
    pub next: Option<Cursor>,
}

/// A key, or a helper object, that a listing found.
#[derive(Clone, Debug)]
pub struct Found {
    pub name: String,
    /// A key, not a helper object that was made for one.
    pub is_key: bool,
    pub key: Ref,
    pub created: Option<Time>,
}
