//! `docs/dialects.md`, which is written from the tables of features.

use super::{
    bedrock_tables, client_tables, completion_tables,
    golden::names,
    response_tables,
    tables::{self, Fate, Feature},
};
use crate::dialect::features::{ANTHROPIC, BEDROCK, GEMINI, OLLAMA, Parameters, RESPONSES};

const TABLES: [&[Feature]; 16] = [
    tables::ANTHROPIC,
    tables::ANTHROPIC_RESPONSE,
    tables::GEMINI,
    tables::GEMINI_RESPONSE,
    tables::OLLAMA,
    tables::OLLAMA_RESPONSE,
    bedrock_tables::REQUEST,
    bedrock_tables::RESPONSE,
    completion_tables::REQUEST,
    completion_tables::RESPONSE,
    client_tables::MESSAGES,
    client_tables::MESSAGES_RESPONSE,
    response_tables::REQUEST,
    response_tables::RESPONSE,
    response_tables::UPSTREAM,
    response_tables::UPSTREAM_RESPONSE,
];
const PARAMETERS: [(&Parameters, &[Feature]); 5] = [
    (&ANTHROPIC, tables::ANTHROPIC),
    (&GEMINI, tables::GEMINI),
    (&OLLAMA, tables::OLLAMA),
    (&BEDROCK, bedrock_tables::REQUEST),
    (&RESPONSES, response_tables::UPSTREAM),
];

fn table(features: &[Feature]) -> String {
    let head = "| feature | treatment | how |\n|---|---|---|\n".to_owned();
    features.iter().fold(head, |table, feature| table + &feature.row())
}

#[test]
fn the_document_of_dialects_has_the_tables_of_features() {
    let document = include_str!("../../../docs/dialects.md");
    for features in TABLES {
        let table = table(features);
        assert!(document.contains(&table), "docs/dialects.md must have this table:\n{table}");
    }
}

#[test]
fn every_feature_has_a_golden_pair() {
    let names: Vec<_> = names().collect();
    let cases = TABLES.into_iter().flatten().map(|feature| feature.case);
    let missing = cases.filter(|case| !names.contains(case));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn the_tables_of_features_state_the_treatment_of_each_parameter() {
    for (parameters, features) in PARAMETERS {
        for (names, fate) in [(parameters.native, Fate::Translated), (parameters.dropped, Fate::Dropped)] {
            let is_stated =
                |name: &&str| features.iter().any(|row| row.fate == fate && row.names.contains(name));
            let missing: Vec<_> = names.iter().filter(|name| !is_stated(name)).collect();
            assert!(missing.is_empty(), "{fate:?}: {missing:?}");
        }
    }
}
