use std::collections::BTreeMap;
use std::time::Duration;

use vault_plugin_secrets_ai::schema::{format_duration, parse_duration};

/// What a page shows in place of what is the test's, or differs between the two servers.
const STAND_INS: [(&str, &str); 8] = [
    ("key_abc", "key_sim_admin"),
    ("proj_abc", "proj_sim1"),
    ("svc_abc", "svc_sim1"),
    ("svac_abc", "svac_sim1"),
    ("chat-small", "fake-small"),
    ("returned from Vault:", "returned from OpenBao:"),
    // Of a token that is not known, in JSON and in a sample's line.
    ("permission denied", "2 errors occurred: * permission denied * invalid token"),
    ("permission denied", r"2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"),
];
/// What Vault adds to an answer.
const MOUNT_TYPE: &str = ",\n  \"mount_type\": \"";
/// Where the server is, for a page.
const SERVER: &str = "http://127.0.0.1:8200";
/// Where the vendors are, and where the simulator is below its URL.
const URLS: [(&str, &str); 5] = [
    ("https://api.openai.com/v1", "/openai/v1"),
    ("https://openrouter.ai/api/v1", "/openrouter/api/v1"),
    ("https://litellm.example.com", "/litellm"),
    ("https://api.anthropic.com", "/anthropic"),
    ("https://ai.example.com", "/oauth2"),
];
/// A vendor whose URL is another's too, and where it is at the simulator.
const SECOND: (&str, &str, &str) = ("anthropic-console", "https://api.anthropic.com", "/anthropic-console");
/// Starts of values that are random after it.
const PREFIXES: [&str; 10] =
    ["idp_", "fdis_", "fdrl_", "sk-ant-oat01-", "sk-svcacct-", "sk-or-v1-", "sk-", "key_", "svc_", "oat_"];
/// Starts of the server's tokens, and of what a page shows of them: Vault's are longer.
const TOKENS: [(&str, &str); 4] = [("s.", "s.…"), ("b.", "b.…"), ("hvs.", "s.…"), ("hvb.", "b.…")];
/// Fewest random characters after a prefix, and of a value without one.
const RANDOM: usize = 16;
/// Characters of 32 bytes in base64: a coordinate of a public key.
const COORDINATE: usize = 43;
/// Starts of lines that come or not, as fast as the server is.
const WAITING: &str = "Waiting for terminal status";
/// Rows whose value is random and does not look it, or counts time.
const ROWS: [&str; 3] = ["generation", "uptime", "host_version"];

/// Makes outputs the same in each run: ids, keys and times become `…`, the simulator the vendor.
pub struct Redactor {
    stand_ins: Vec<(&'static str, String)>,
    /// Where the second vendor of one URL is; empty where there is none.
    second: String,
    /// The last word that was shown so.
    seen: BTreeMap<String, String>,
}

impl Redactor {
    pub fn new(server: &str, simulator: &str) -> Self {
        let urls = URLS.iter().map(|(shown, path)| (*shown, format!("{simulator}{path}")));
        let ids = STAND_INS.iter().map(|(shown, actual)| (*shown, (*actual).to_owned()));
        let stand_ins = urls.chain(ids).chain([(SERVER, server.to_owned())]).collect();
        Self { stand_ins, second: format!("{simulator}{}", SECOND.2), seen: BTreeMap::new() }
    }

    /// For a page whose server has this port and whose simulator has the second one after it.
    pub fn of_a_newcomer(port: u16) -> Self {
        let simulator = ("http://127.0.0.1:8202", format!("http://127.0.0.1:{}", port + 2));
        let stand_ins = vec![(SERVER, format!("http://127.0.0.1:{port}")), simulator];
        Self { stand_ins, second: String::new(), seen: BTreeMap::new() }
    }

    /// Where a vendor of this URL is at the simulator.
    pub fn at_simulator(&self, vendor: &str, url: &str) -> String {
        if vendor == SECOND.0 { self.second.clone() } else { self.filled(url) }
    }

    /// A command of a page as it is run.
    pub fn filled(&self, command: &str) -> String {
        let command =
            self.stand_ins.iter().fold(command.to_owned(), |text, (shown, actual)| text.replace(shown, actual));
        by_word(&command, |word| {
            let part = |part: &str| match self.seen.get(part) {
                Some(actual) => actual.clone(),
                None => {
                    assert!(!part.contains('…'), "no output before this has shown {part:?}: {command}");
                    part.to_owned()
                }
            };
            match self.seen.get(word) {
                Some(actual) => actual.clone(),
                None => word.split('/').map(part).collect::<Vec<_>>().join("/"),
            }
        })
    }

    /// An output as a page shows it.
    pub fn shown(&mut self, output: &str) -> String {
        let output = match self.second.as_str() {
            "" => output.to_owned(),
            second => output.replace(second, SECOND.1),
        };
        let output = self.stand_ins.iter().fold(output, |text, (shown, actual)| text.replace(actual, shown));
        let output = match output.split_once(MOUNT_TYPE) {
            Some((before, rest)) => format!("{before}{}", rest.split_once('"').map_or("", |(_, after)| after)),
            None => output,
        };
        let lines = output.lines().filter(|line| !line.starts_with(WAITING) && !is_path(line));
        let lines: Vec<String> = lines.map(|line| self.line(line)).collect();
        lines.join("\n")
    }

    fn line(&mut self, line: &str) -> String {
        let name = line.split_whitespace().next().unwrap_or_default();
        if ROWS.contains(&name.trim_matches(|c| "\":".contains(c))) {
            let value = line.trim_end_matches(',').split_whitespace().last().unwrap_or_default();
            let hidden = if value.starts_with('"') { "\"…\"" } else { "…" };
            return line.replacen(value, hidden, 1);
        }
        by_word(line, |word| {
            let parts: Vec<String> = word.split('/').map(|part| self.part(part)).collect();
            let shown = parts.join("/");
            if shown.contains('…') && !is_time(word) {
                self.seen.insert(shown.clone(), word.to_owned());
            }
            shown
        })
    }

    fn part(&mut self, part: &str) -> String {
        if is_time(part) {
            return "…".to_owned();
        }
        if let Some(whole) = rounded(part) {
            return whole;
        }
        if let Some(part) = part.strip_suffix(':') {
            return self.part(part) + ":";
        }
        let Some(shown) = redacted(part) else { return part.to_owned() };
        self.seen.insert(shown.clone(), part.to_owned());
        shown
    }
}

/// Replaces each word, which is what stands between spaces, quotes and the like.
fn by_word(text: &str, mut replace: impl FnMut(&str) -> String) -> String {
    let mut replaced = String::new();
    let mut word = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || "_-.:+/…".contains(c) {
            word.push(c);
        } else {
            replaced.push_str(&replace(&std::mem::take(&mut word)));
            replaced.push(c);
        }
    }
    replaced + &replace(&word)
}

/// OpenBao shows it of a lease, and Vault does not.
fn is_path(line: &str) -> bool {
    line.strip_prefix("path ").is_some_and(|path| path.trim_start().starts_with("ai/"))
}

fn is_time(word: &str) -> bool {
    let digits = |from, to| word.get(from..to).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    digits(0, 4) && digits(5, 7) && digits(8, 10) && word.get(10..11) == Some("T")
}

/// A time to live that has just begun: the minute that it was asked for.
fn rounded(word: &str) -> Option<String> {
    let life = parse_duration(word).filter(|life| word.ends_with('s') && life.as_secs() % 60 >= 50)?;
    Some(format_duration(Duration::from_secs(life.as_secs().next_multiple_of(60))))
}

/// A word that is random, or has a random part.
fn redacted(word: &str) -> Option<String> {
    let random = |text: &str| text.len() >= RANDOM && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let has = |text: &str, of: fn(&u8) -> bool| text.bytes().any(|byte| of(&byte));
    // Longer texts of small letters alone are words.
    let mixed = |text: &str| has(text, u8::is_ascii_digit) || has(text, u8::is_ascii_uppercase);
    let is_id = |text: &str| random(text) && (text.len() == RANDOM || mixed(text));
    if let Some(rest) = word.strip_prefix("vault-")
        && rest.get(..8).is_some_and(|tag| tag.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return match rest[8..].rsplit_once('-') {
            Some((middle, id)) if is_id(id) => Some(format!("vault-…{middle}-…")),
            _ => Some("vault-…".to_owned()),
        };
    }
    let is_uuid = word.len() == 36 && word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let is_coordinate = word.len() == COORDINATE
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && has(word, u8::is_ascii_uppercase)
        && has(word, u8::is_ascii_lowercase);
    if is_id(word) || is_uuid || is_coordinate {
        return Some("…".to_owned());
    }
    if let Some((_, shown)) = TOKENS.iter().find(|(token, _)| word.starts_with(token) && word.len() > RANDOM) {
        return Some((*shown).to_owned());
    }
    let prefix = PREFIXES.iter().find(|prefix| word.strip_prefix(**prefix).is_some_and(random))?;
    Some(format!("{prefix}…"))
}
