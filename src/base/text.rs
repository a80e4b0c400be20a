use super::Secret;

/// Foreign text on one line of at most `limit` characters: control characters become spaces, invisible ones that
/// reorder text go, runs of white space become one, what is cut ends in "…".
pub fn bounded(text: &str, limit: usize) -> String {
    // Four bytes a character at most, and white space may shrink: enough is looked at, never all of it.
    let mut end = text.len().min(limit.saturating_mul(8));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let visible = visible(&text[..end]);
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= limit && end == text.len() {
        return line;
    }
    line.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

/// Without characters that show nothing, and with spaces for control characters.
fn visible(text: &str) -> String {
    text.replace(is_invisible, "").replace(|c: char| c.is_control(), " ")
}

/// Format characters: zero-width ones, variation selectors and tags, and those that turn the direction of what follows.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// `bounded`, with every occurrence of a secret, and whatever looks like a vendor's key or a bearer
/// token, replaced by `[redacted]`. Redaction comes before the cut, so that no half of a secret stays, and after
/// invisible characters are gone, so that none hides one.
pub fn redacted(text: &str, secrets: &[&Secret], limit: usize) -> String {
    /// Shorter than this is a word that anybody writes, not a secret.
    const SHORTEST_SECRET: usize = 6;
    let mut text = visible(text);
    for secret in secrets.iter().filter(|secret| secret.expose().len() >= SHORTEST_SECRET) {
        text = text.replace(secret.expose(), "[redacted]");
    }
    bounded(&hide_key_like_words(&text), limit)
}

/// Vendors echo the key they refuse ("Incorrect API key provided: sk-…"), often one that we do not know.
fn hide_key_like_words(text: &str) -> String {
    const PREFIXES: [&str; 8] = ["sk-", "sk_", "xai-", "ek_", "hvs.", "eyJ", "ABSK", "bedrock-api-key-"];
    /// A prefix alone, as in "keys start with sk-", tells nothing.
    const SHORTEST_KEY: usize = 8;
    let in_key = |c: char| c.is_ascii_alphanumeric() || "-_.*".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word_end = rest.find(|c| !in_key(c)).unwrap_or(rest.len());
        let (word, mut after) = rest.split_at(word_end);
        let key = PREFIXES.iter().any(|prefix| word.starts_with(prefix)) && word.len() >= SHORTEST_KEY;
        if key {
            // A key that is base64 goes on behind these, which part other words.
            after = after.trim_start_matches(|c| in_key(c) || "+/=".contains(c));
        }
        out.push_str(if key { "[redacted]" } else { word });
        let gap_end = after.find(in_key).unwrap_or(after.len());
        let (gap, next) = after.split_at(gap_end);
        out.push_str(gap);
        rest = next;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_its_own_cannot_be_made() {
        assert_eq!(bounded("a\n{\"@level\":5}\r\n\u{7}b", 80), "a {\"@level\":5} b");
    }

    #[test]
    fn text_cannot_be_turned_around() {
        assert_eq!(bounded("a\u{202e}b\u{feff}c", 80), "abc");
    }

    #[test]
    fn long_text_is_cut_with_a_mark() {
        assert_eq!(bounded("abcdef", 4), "abc…");
        assert_eq!(bounded("abcd", 4), "abcd");
        assert_eq!(bounded(&"é".repeat(100), 3), "éé…");
    }

    #[test]
    fn known_secrets_and_key_like_words_are_hidden() {
        let admin = Secret::from("hunter22");
        let text = "bad key hunter22; Incorrect API key provided: sk-proj-ab***yz. See docs";
        let shown = redacted(text, &[&admin], 200);
        assert_eq!(shown, "bad key [redacted]; Incorrect API key provided: [redacted] See docs");
    }

    #[test]
    fn a_key_in_base64_is_hidden_to_its_end() {
        for key in ["ABSKQmVk/cm9j+a0FQ/SUt==", "bedrock-api-key-YmVk/cm9j+a2="] {
            assert_eq!(
                redacted(&format!("bad key {key}, see https://docs"), &[], 80),
                "bad key [redacted], see https://docs"
            );
        }
    }

    #[test]
    fn an_invisible_character_hides_no_secret() {
        let admin = Secret::from("hunter22");
        for between in ["\u{200b}", "\u{ad}", "\u{fe0f}", "\u{e0041}"] {
            assert_eq!(redacted(&format!("key hunt{between}er22"), &[&admin], 80), "key [redacted]");
        }
    }

    #[test]
    fn a_secret_at_the_cut_leaves_no_half() {
        let admin = Secret::from("hunter22hunter22");
        assert!(!redacted("xxxx hunter22hunter22", &[&admin], 10).contains("hunt"));
    }
}
