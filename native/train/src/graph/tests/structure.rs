//! Tests of the structure of graphs: outputs, token ids and names.

use super::*;

#[test]
fn a_trailing_softmax_or_sigmoid_is_folded_and_the_logits_are_computed() {
    let nodes = || {
        vec![
            node("0", "Linear", &["x"], json!({"out_features": 4})),
            node("1", "Softmax", &["0"], json!({"dim": -1})),
        ]
    };
    let graph = Graph::build(&network(&["x"], nodes(), &["1"]), &[("x", &[3])]).unwrap();
    assert_eq!(graph.outputs[0].activation, Activation::Softmax);
    assert_eq!((graph.outputs[0].name.as_str(), graph.outputs[0].value), ("1", 1));
    assert!(!graph.nodes[1].computed);

    let mut more = nodes();
    more.push(node("2", "Linear", &["1"], json!({"out_features": 2})));
    let read = Graph::build(&network(&["x"], more, &["1", "2"]), &[("x", &[3])]).unwrap();
    assert_eq!(read.outputs[0].activation, Activation::None, "a layer reads the softmax");
    assert!(read.nodes[1].computed);

    let sigmoid = single("Sigmoid", json!({}), &[3]).unwrap();
    assert_eq!(sigmoid.outputs[0].activation, Activation::Sigmoid);
    let other_dimension = single("Softmax", json!({"dim": 1}), &[3, 4]).unwrap();
    assert_eq!(other_dimension.outputs[0].activation, Activation::None);
}

#[test]
fn an_input_that_an_embedding_reads_holds_token_ids() {
    let embedding = |name: &str, input: &str, tokens: usize| {
        node(name, "Embedding", &[input], json!({"num_embeddings": tokens, "embedding_dim": 2}))
    };
    let direct = vec![
        node("flat", "Flatten", &["x"], json!({})),
        embedding("a", "flat", 10),
        embedding("b", "x", 7),
        node("same", "Reshape", &["b"], json!({"shape": [-1, 2]})),
        node("sum", "Add", &["a", "same"], json!({})),
    ];
    let graph = Graph::build(&network(&["x"], direct, &["sum"]), &[("x", &[2, 3])]).unwrap();
    assert_eq!(graph.inputs[0].tokens, Some(7));

    let after_floats = vec![node("0", "ReLU", &["x"], json!({})), embedding("1", "0", 10)];
    let error = text(Graph::build(&network(&["x"], after_floats, &["1"]), &[("x", &[2])]));
    assert_eq!(
        error,
        "layer '0' (ReLU): an Embedding reads its output, but needs token ids from an input"
    );

    let both = vec![
        embedding("0", "x", 10),
        node("1", "Flatten", &["0"], json!({})),
        node("2", "ReLU", &["x"], json!({})),
    ];
    let error = text(Graph::build(&network(&["x"], both, &["1", "2"]), &[("x", &[2])]));
    assert_eq!(error, "layer '2' (ReLU): reads token ids that an Embedding also reads");

    let kept = vec![node("0", "Identity", &["x"], json!({})), embedding("1", "0", 10)];
    let error = text(Graph::build(&network(&["x"], kept, &["1", "0"]), &[("x", &[2])]));
    assert_eq!(error, "output '0' of the network holds token ids");
}

#[test]
fn a_graph_that_does_not_hang_together_is_refused() {
    let relu = |name: &str, input: &str| node(name, "ReLU", &[input], json!({}));
    let build = |inputs: &[&str], nodes, outputs: &[&str]| {
        text(Graph::build(&network(inputs, nodes, outputs), &[("x", &[3])]))
    };
    let cases = [
        (
            build(&["x"], vec![relu("a", "b"), relu("b", "x")], &["b"]),
            "layer 'a' (ReLU): reads 'b'",
        ),
        (
            build(&["x"], vec![relu("a", "x"), relu("a", "a")], &["a"]),
            "name is empty or used twice",
        ),
        (build(&["x"], vec![relu("x", "x")], &["x"]), "name is empty or used twice"),
        (
            build(&["x"], vec![relu("a", "x"), relu("b", "x")], &["a"]),
            "layer 'b' (ReLU): its value is neither",
        ),
        (build(&["x"], vec![relu("a", "x")], &["c"]), "output 'c' is not a layer"),
        (build(&["x"], vec![relu("a", "x")], &["x"]), "output 'x' is not a layer"),
        (build(&["x"], vec![relu("a", "x")], &["a", "a"]), "output 'a' is named twice"),
        (build(&["x"], vec![relu("a", "x")], &[]), "no output"),
        (
            build(&["x", "y"], vec![relu("a", "x")], &["a"]),
            "input 'y' of the network has no column",
        ),
        (build(&["y"], vec![relu("a", "y")], &["a"]), "the network has no input 'x'"),
        (
            build(&["x"], vec![node("a", "Add", &["x"], json!({}))], &["a"]),
            "reads two inputs or more",
        ),
        (
            build(&["x"], vec![node("a", "Subtract", &["x", "x", "x"], json!({}))], &["a"]),
            "reads two inputs, not 3",
        ),
        (
            build(&["x"], vec![node("a", "ReLU", &["x", "x"], json!({}))], &["a"]),
            "reads one input, not 2",
        ),
    ];
    for (found, expected) in cases {
        assert!(found.contains(expected), "'{found}' lacks '{expected}'");
    }
    let mut other = network(&["x"], vec![relu("a", "x")], &["a"]);
    other.format = "firesteel.network/2".to_owned();
    assert!(text(Graph::build(&other, &[("x", &[3])])).contains("firesteel.network/1"));
    let spec = network(&["x"], vec![relu("a", "x")], &["a"]);
    assert!(
        text(Graph::build(&spec, &[("x", &[0])])).contains("a row needs at least one dimension")
    );
    assert!(
        text(Graph::build(&spec, &[("x", &[])])).contains("a row needs at least one dimension")
    );
}

#[test]
fn inputs_of_an_add_must_agree_and_of_a_concatenation_but_for_one_dimension() {
    let two = |op: &str, args: Value, other: &[usize]| {
        let spec = network(&["x", "y"], vec![node("it", op, &["x", "y"], args)], &["it"]);
        Graph::build(&spec, &[("x", &[2, 3]), ("y", other)])
    };
    assert_eq!(two("Add", json!({}), &[2, 3]).unwrap().outputs[0].shape, [2, 3]);
    assert!(text(two("Add", json!({}), &[3, 2])).contains("got the shapes [2, 3] and [3, 2]"));
    assert_eq!(two("Concatenate", json!({}), &[5, 3]).unwrap().outputs[0].shape, [7, 3]);
    assert_eq!(two("Concatenate", json!({"dim": -1}), &[2, 1]).unwrap().outputs[0].shape, [2, 4]);
    assert!(
        text(two("Concatenate", json!({}), &[5, 4])).contains("may differ in dimension 1 only")
    );
}
