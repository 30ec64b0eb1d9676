//! Bar chart for a terminal: [`line()`].

use std::iter;

/// Maximum number of columns of a chart.
pub(super) const COLUMNS: usize = 60;

/// Bars from 0 to 1; higher values are shown as 1.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Returns the number of seconds in a column.
pub(super) const fn seconds_per_column(seconds: usize) -> usize {
    let per = seconds.div_ceil(COLUMNS);
    if per == 0 { 1 } else { per }
}

/// Returns a line with one bar for each mean of `per` values between 0.0 and 1.0. A value above zero never has an
/// empty bar.
pub(super) fn line(values: &[f64], per: usize) -> String {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    values.chunks(per).map(|values| bar(mean(values))).collect()
}

/// Returns a line with the sum of each column, blank if it is zero.
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

/// Returns the time axis, with the first and the last time in minutes and seconds.
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
    fn a_chart_line_has_bars_of_the_right_height() {
        assert_eq!(line(&[0.0, 0.001, 0.5, 1.0, 3.0], 1), " ▁▄██");
        assert_eq!(line(&[0.0, 1.0, 1.0, 1.0, 0.25], 2), "▄█▂");
    }

    #[test]
    fn chart_marks_show_the_sum_of_each_column() {
        assert_eq!(marks(&[0, 0, 1, 0, 4, 9, 0, 0], 2), " 1+");
    }

    #[test]
    fn the_chart_axis_is_as_long_as_the_line() {
        assert_eq!(axis(600).chars().count(), line(&[1.0; 600], seconds_per_column(600)).chars().count());
        assert_eq!(axis(90), format!("0:00{}1:30", " ".repeat(37)));
    }
}
