//! Bar chart for a terminal: [`line()`].

use std::iter;

/// Bars from 0 to 1; higher values are shown as 1.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Returns the number of seconds in a column of a chart that has at most this many.
pub(super) const fn seconds_per_column(seconds: usize, columns: usize) -> usize {
    let per = seconds.div_ceil(columns);
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

/// Returns a line with the mark of each column in which a period is, which is given by its first second, the second after
/// its end, and its mark.
pub(super) fn outages(periods: &[(usize, usize, char)], seconds: usize, per: usize) -> String {
    let mark = |column: usize| {
        let is_in =
            |(from, until, _): &&(usize, usize, char)| *from < (column + 1) * per && column * per < *until;
        periods.iter().find(is_in).map_or(' ', |(.., mark)| *mark)
    };
    (0..seconds.div_ceil(per)).map(mark).collect::<String>().trim_end().to_owned()
}

/// Returns the time axis, with the first and the last time in minutes and seconds.
pub(super) fn axis(seconds: usize, per: usize) -> String {
    let columns = seconds.div_ceil(per);
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
        let per = seconds_per_column(600, 60);
        assert_eq!(axis(600, per).chars().count(), line(&[1.0; 600], per).chars().count());
        assert_eq!(axis(90, seconds_per_column(90, 60)), format!("0:00{}1:30", " ".repeat(37)));
    }

    #[test]
    fn chart_outages_are_marked_in_every_column_that_they_touch() {
        assert_eq!(outages(&[(3, 5, 'x'), (8, 9, '~')], 12, 2), " xx ~");
        assert_eq!(outages(&[], 12, 2), "");
    }
}
