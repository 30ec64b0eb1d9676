//! The eight kinds of ending: [`Class`].

/// The eight kinds of ending, as far as a layer must tell them apart.
///
/// Closed on purpose: whoever matches it is told by the compiler when a kind is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Answered, or being answered: nothing is known to be wrong so far.
    Success,
    /// The caller's own fault: no other endpoint would answer differently.
    Caller,
    /// The request does not fit this backend; a larger one may take it.
    ContextWindow,
    /// The backend refuses to speak about this; another kind of backend may not.
    ContentPolicy,
    /// Our credential or the resource is no good *there*: unauthorized, forbidden, gone.
    Unauthorized,
    /// The backend's limit is reached: a fact about capacity, not about health.
    RateLimited,
    /// A clock ran out.
    Timeout,
    /// The backend failed, or could not be reached.
    Unavailable,
}

impl Class {
    /// How many there are, for tables indexed by [`Class::index`].
    pub const COUNT: usize = 8;

    /// All of them, in the order of [`Class::index`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::Success,
        Self::Caller,
        Self::ContextWindow,
        Self::ContentPolicy,
        Self::Unauthorized,
        Self::RateLimited,
        Self::Timeout,
        Self::Unavailable,
    ];

    /// A position in a table, below [`Class::COUNT`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// A short lower-case name, for labels and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Caller => "caller",
            Self::ContextWindow => "context_window",
            Self::ContentPolicy => "content_policy",
            Self::Unauthorized => "unauthorized",
            Self::RateLimited => "rate_limited",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether another endpoint of the same kind could answer better.
    #[must_use]
    pub const fn worth_another(self) -> bool {
        match self {
            Self::Success | Self::Caller | Self::ContextWindow | Self::ContentPolicy => false,
            Self::Unauthorized | Self::RateLimited | Self::Timeout | Self::Unavailable => true,
        }
    }
}
