//! The table and the JSON.

use std::{fmt::Write as _, fs, path::Path};

use serde_json::{Value, json};

use crate::{
    Result,
    measure::{Measured, interval, median},
};

/// The goal of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At most so many times the base's.
    Ratio(f64),
    /// At most so much more than the base's.
    Plus(f64),
    /// At most this, whatever the base's.
    AtMost(f64),
    /// Shown for information.
    None,
}

impl Goal {
    fn text(self) -> String {
        match self {
            Self::Ratio(bound) => format!("<= {bound}x"),
            Self::Plus(bound) => format!("<= +{bound}"),
            Self::AtMost(bound) => format!("<= {bound}"),
            Self::None => String::new(),
        }
    }

    fn met(self, value: &Compared) -> Option<bool> {
        match self {
            Self::Ratio(bound) => Some(value.ratio <= bound),
            Self::Plus(bound) => Some(value.difference <= bound),
            Self::AtMost(bound) => Some(value.median <= bound),
            Self::None => None,
        }
    }
}

/// A figure to report: which of a sample's, how it is called, what it should be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figure {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) goal: Goal,
}

/// A figure of one side over all rounds.
#[derive(Clone, Debug)]
struct Compared {
    side: String,
    rounds: Vec<f64>,
    median: f64,
    /// Median over the rounds of the ratio to the base in the same round.
    ratio: f64,
    /// Where the true median of that ratio lies, with 95 % confidence.
    interval: Option<(f64, f64)>,
    /// Median over the rounds of what it is more than the base in the same round.
    difference: f64,
}

/// A figure of one case, for all sides; the first is the base.
#[derive(Clone, Debug)]
struct Row {
    case: &'static str,
    figure: Figure,
    sides: Vec<Compared>,
}

/// All that was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    notes: Vec<String>,
    pub(crate) failures: Vec<String>,
}

impl Report {
    /// Takes the figures of a case. Those of which no side has a sample are left out.
    pub(crate) fn add(&mut self, case: &'static str, figures: &[Figure], measured: Measured) {
        for &figure in figures {
            let rounds = |samples: &[crate::measure::Sample]| -> Vec<f64> {
                samples.iter().filter_map(|sample| sample.get(figure.key).copied()).collect()
            };
            let base = measured.sides.first().map(|(_, samples)| rounds(samples)).unwrap_or_default();
            let sides = measured.sides.iter().map(|(side, samples)| compared(side, rounds(samples), &base));
            let sides: Vec<_> = sides.filter(|side| !side.rounds.is_empty()).collect();
            if !sides.is_empty() {
                self.rows.push(Row { case, figure, sides });
            }
        }
        self.failures.extend(measured.failures.into_iter().map(|failure| format!("{case}: {failure}")));
    }

    /// Something the reader should know.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The table; goals are judged for tollgate's own figures only.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "\n{:<12} {:<34} {:<19} {:>10} {:>8} {:>13} {:>10}  goal\n",
            "case", "figure", "side", "median", "ratio", "95 %", "more"
        );
        let mut last = "";
        for row in &self.rows {
            if row.case != last {
                text.push('\n');
                last = row.case;
            }
            for (n, side) in row.sides.iter().enumerate() {
                let title = if n == 0 { row.figure.title } else { "" };
                let case = if n == 0 { row.case } else { "" };
                // Writing to a String cannot fail.
                let _written = writeln!(
                    text,
                    "{case:<12} {title:<34} {:<19} {:>10} {}",
                    side.side,
                    short(side.median),
                    judged(row.figure.goal, side, n)
                );
            }
        }
        for note in self.notes.iter().map(|note| format!("note: {note}\n")).chain(self.failed()) {
            text.push_str(&note);
        }
        text
    }

    fn failed(&self) -> impl Iterator<Item = String> {
        self.failures.iter().map(|failure| format!("FAILED: {failure}\n"))
    }

    /// Writes everything, with what describes the run beside it.
    pub(crate) fn write(&self, path: &Path, mut about: Value) -> Result<()> {
        about["figures"] = self.rows.iter().map(Row::json).collect();
        about["notes"] = json!(self.notes);
        about["failures"] = json!(self.failures);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(path, format!("{about:#}\n"))?;
        Ok(())
    }
}

impl Row {
    fn json(&self) -> Value {
        let sides = self.sides.iter().map(|side| {
            json!({
                "side": side.side,
                "median": rounded(side.median),
                "ratio": rounded(side.ratio),
                "interval": side.interval.map(|(low, high)| [rounded(low), rounded(high)]),
                "difference": rounded(side.difference),
                "rounds": side.rounds.iter().copied().map(rounded).collect::<Vec<_>>(),
                "met": is_judged(&side.side).then(|| self.figure.goal.met(side)),
            })
        });
        json!({
            "case": self.case,
            "key": self.figure.key,
            "title": self.figure.title,
            "goal": self.figure.goal.text(),
            "sides": sides.collect::<Vec<_>>(),
        })
    }
}

fn compared(side: &str, rounds: Vec<f64>, base: &[f64]) -> Compared {
    let pairs = || rounds.iter().copied().zip(base.iter().copied());
    let ratios: Vec<_> = pairs().filter(|(_, base)| *base > 0.0).map(|(mine, base)| mine / base).collect();
    Compared {
        side: side.to_owned(),
        median: median(rounds.clone()),
        interval: interval(ratios.clone()),
        ratio: median(ratios),
        difference: median(pairs().map(|(mine, base)| mine - base).collect()),
        rounds,
    }
}

/// The floor and the other proxies have no goals.
fn is_judged(side: &str) -> bool {
    !["floor", "nginx", "haproxy"].contains(&side)
}

/// Ratio, difference and goal; the base itself (the first) has only an absolute goal.
fn judged(goal: Goal, side: &Compared, n: usize) -> String {
    let relative = !matches!(goal, Goal::AtMost(_));
    let goal = if is_judged(&side.side) && (n > 0 || !relative) { goal } else { Goal::None };
    let verdict = match goal.met(side) {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "",
    };
    let (ratio, interval, more) = if n == 0 {
        (String::new(), String::new(), String::new())
    } else {
        (
            format!("{:.3}x", side.ratio),
            side.interval.map(|(low, high)| format!("{low:.3}-{high:.3}")).unwrap_or_default(),
            format!("{}{}", if side.difference < 0.0 { "" } else { "+" }, short(side.difference)),
        )
    };
    format!("{ratio:>8} {interval:>13} {more:>10}  {} {verdict}", goal.text()).trim_end().to_owned()
}

/// Three digits or more, never many.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A thousandth is more than any of these figures is good for.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
