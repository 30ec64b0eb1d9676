//! Validation of a number, byte by byte: [`Number`].

/// The state of a number: the part that was read last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// A minus sign.
    Minus,
    /// A leading zero, which no digit may follow.
    Zero,
    /// Digits of the integer part.
    Whole,
    /// A decimal point.
    Point,
    /// Digits of the fraction.
    Fraction,
    /// An `e` or `E`.
    Exponent,
    /// The sign of the exponent.
    Sign,
    /// Digits of the exponent.
    Power,
}

impl Number {
    /// Returns the state after the first byte.
    pub(super) const fn new(byte: u8) -> Option<Self> {
        match byte {
            b'-' => Some(Self::Minus),
            b'0' => Some(Self::Zero),
            b'1'..=b'9' => Some(Self::Whole),
            _ => None,
        }
    }

    /// Returns the state after another byte, or none if the byte cannot follow.
    pub(super) const fn then(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Minus, _) if byte != b'-' => Self::new(byte),
            (Self::Whole, b'0'..=b'9') => Some(Self::Whole),
            (Self::Zero | Self::Whole, b'.') => Some(Self::Point),
            (Self::Point | Self::Fraction, b'0'..=b'9') => Some(Self::Fraction),
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Some(Self::Exponent),
            (Self::Exponent, b'+' | b'-') => Some(Self::Sign),
            (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Some(Self::Power),
            _ => None,
        }
    }

    /// Returns true if the number may end here.
    pub(super) const fn is_whole(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::Power)
    }
}
