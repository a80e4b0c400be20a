use std::time::Duration;

/// Longest duration that is taken, 100 years: nothing that is added to a date may overflow.
const LONGEST_SECONDS: u64 = 100 * 365 * 24 * 3600;

/// A duration as Vault's users write it: seconds (`90`, `90s`), or units `d h m s` together (`1h30m`).
/// None where it is neither, negative, or beyond 100 years.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let mut seconds = 0u64;
    let mut number = String::new();
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                number.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 24 * 3600,
            _ => return None,
        };
        seconds = number.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(seconds)?;
        number.clear();
    }
    if !number.is_empty() {
        // A bare number is seconds, and stands alone.
        if number.len() != text.len() {
            return None;
        }
        seconds = number.parse().ok()?;
    }
    (!text.is_empty() && seconds <= LONGEST_SECONDS).then(|| Duration::from_secs(seconds))
}

/// The shortest text that `parse_duration` reads back: `1h30m`, `45s`, `0s`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 3600, 'h'), (seconds % 3600 / 60, 'm'), (seconds % 60, 's')];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_vault_reads_them() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("1h30m", 5400), ("2d", 172_800), (" 5m ", 300), ("0", 0)] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "-1", "1.5h", "1h30", "1y", "99999999999d", "4000000000"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_print_so_that_they_read_back() {
        for seconds in [0, 59, 60, 3600, 5400, 90061] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }
    }
}
