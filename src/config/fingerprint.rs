//! The hash by which a changed target of a deployment is found.

use std::hash::{DefaultHasher, Hash, Hasher};

use secrecy::ExposeSecret;

use super::Target;

impl Target {
    /// Returns a hash over all fields. Equal targets have equal hashes; different targets have different hashes with
    /// high probability.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let Self {
            vendor,
            model,
            base,
            key,
            google,
            aws,
            api_version,
            organization,
            headers,
            responses,
            http2,
            tls,
        } = self;
        let mut hasher = DefaultHasher::new();
        (vendor.prefix, model, base, key.as_ref().map(ExposeSecret::expose_secret)).hash(&mut hasher);
        (google, aws).hash(&mut hasher);
        (api_version, organization, headers, responses, http2, tls).hash(&mut hasher);
        hasher.finish()
    }
}
