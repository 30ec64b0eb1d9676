//! The classes of outcomes: [`Class`].

/// The classes of outcomes that layers distinguish.
///
/// The enum is exhaustive on purpose: the compiler then points at every `match` when a class is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The call was successful so far.
    Success,
    /// The request is invalid: no other endpoint would respond differently.
    Caller,
    /// The request exceeds the context window of this backend; a larger one may accept it.
    ContextWindow,
    /// The backend refuses the content; a different backend may accept it.
    ContentPolicy,
    /// The credential or the resource is not valid *at this backend*: unauthorized, forbidden, gone.
    Unauthorized,
    /// The rate limit of the backend is reached. This is a fact about capacity, not about health.
    RateLimited,
    /// A timeout elapsed.
    Timeout,
    /// The backend failed, or could not be reached.
    Unavailable,
}

impl Class {
    /// The number of classes, for tables indexed by [`Class::index`].
    pub const COUNT: usize = 8;

    /// All classes, in the order of [`Class::index`].
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

    /// Returns a position in a table, below [`Class::COUNT`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns a short lower-case name, for labels and logs.
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

    /// Returns true if another endpoint of the same kind may succeed.
    #[must_use]
    pub const fn worth_another(self) -> bool {
        match self {
            Self::Success | Self::Caller | Self::ContextWindow | Self::ContentPolicy => false,
            Self::Unauthorized | Self::RateLimited | Self::Timeout | Self::Unavailable => true,
        }
    }
}
