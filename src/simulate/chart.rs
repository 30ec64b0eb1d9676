//! A small chart for a terminal: [`line()`].

use std::iter;

/// How many columns a chart has at most.
pub(super) const COLUMNS: usize = 60;

/// From nothing to all; what is more is shown as all.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How many seconds one column stands for.
pub(super) const fn seconds_per_column(seconds: usize) -> usize {
    let per = seconds.div_ceil(COLUMNS);
    if per == 0 { 1 } else { per }
}

/// One column for each mean of `per` values, 0.0 to 1.0. What is little is not nothing.
pub(super) fn line(values: &[f64], per: usize) -> String {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    values.chunks(per).map(|values| bar(mean(values))).collect()
}

/// One mark for each column in which there is something.
pub(super) fn marks(counts: &[u32], per: usize) -> String {
    let line = counts.chunks(per).map(|counts| match counts.iter().sum::<u32>() {
        0 => ' ',
        count @ 1..=9 => char::from_digit(count, 10).unwrap_or('+'),
        _ => '+',
    });
    line.collect::<String>().trim_end().to_owned()
}

fn bar(part: f64) -> char {
    let eighths = (part * 8.0).round() as usize;
    let shown = if part > 0.0 { eighths.clamp(1, 8) } else { 0 };
    BARS[shown]
}

/// The axis below: minutes and seconds at both ends.
pub(super) fn axis(seconds: usize) -> String {
    let columns = seconds.div_ceil(seconds_per_column(seconds));
    let (from, to) = ("0:00", format!("{}:{:02}", seconds / 60, seconds % 60));
    let gap = columns.saturating_sub(from.len() + to.len());
    iter::once(from).chain(iter::repeat_n(" ", gap)).chain(iter::once(&*to)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_high_as_what_it_shows() {
        assert_eq!(line(&[0.0, 0.001, 0.5, 1.0, 3.0], 1), " ▁▄██");
        assert_eq!(line(&[0.0, 1.0, 1.0, 1.0, 0.25], 2), "▄█▂");
    }

    #[test]
    fn marks_stand_where_something_happened() {
        assert_eq!(marks(&[0, 0, 1, 0, 4, 9, 0, 0], 2), " 1+");
    }

    #[test]
    fn the_axis_is_as_long_as_the_line() {
        assert_eq!(axis(600).chars().count(), line(&[1.0; 600], seconds_per_column(600)).chars().count());
        assert_eq!(axis(90), format!("0:00{}1:30", " ".repeat(37)));
    }
}
