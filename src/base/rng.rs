/// The only source of randomness, injected so that tests can repeat it.
pub trait Rng: Send + Sync {
    /// Fills `buffer` with bytes that nobody can guess.
    fn fill(&self, buffer: &mut [u8]);
}

/// The operating system's generator.
pub struct SystemRng;

impl Rng for SystemRng {
    /// # Panics
    /// Where the operating system has no randomness: nothing safe can be done without.
    fn fill(&self, buffer: &mut [u8]) {
        #[allow(clippy::expect_used)] // stated above
        getrandom::fill(buffer).expect("the operating system gives random bytes");
    }
}

/// `length` characters of lower-case base32 (RFC 4648 alphabet), five bits of randomness each.
pub fn random_base32(rng: &dyn Rng, length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = vec![0; length];
    rng.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}

/// `bytes` random bytes as lower-case hex.
pub fn random_hex(rng: &dyn Rng, bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    rng.fill(&mut buffer);
    buffer.iter().map(|byte| format!("{byte:02x}")).collect()
}
