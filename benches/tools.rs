//! Tool definitions, for the benches `gateway` and `instructions`.

/// Returns the member `tools` as a coding agent sends it, with a comma before it: 30 functions of eight parameters, 33 KB in
/// all.
pub(crate) fn member() -> String {
    let parameter = |n| {
        format!(
            r#""parameter_{n}":{{"type":"string","description":"The path of a file, absolute, or \"-\".","enum":["a","b"]}}"#
        )
    };
    let parameters = (0..8).map(parameter).collect::<Vec<_>>().join(",");
    let tool = |n| {
        format!(
            r#"{{"type":"function","function":{{"name":"tool_{n}","description":"Reads a file and returns its lines with numbers.","strict":true,"parameters":{{"type":"object","properties":{{{parameters}}},"required":["parameter_0","parameter_1"],"additionalProperties":false}}}}}}"#
        )
    };
    format!(r#","tools":[{}]"#, (0..30).map(tool).collect::<Vec<_>>().join(","))
}
