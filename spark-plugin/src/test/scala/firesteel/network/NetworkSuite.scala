package firesteel.network

import org.json4s.JsonAST.{JInt, JString}
import org.scalatest.funsuite.AnyFunSuite

final class NetworkSuite extends AnyFunSuite {
  private def names(network: LayerGraph): Seq[String] = network.nodes.map(_.name)

  test("layers are named by their index, as in a torch.nn.Sequential") {
    val network = Network.sequential(Linear(500), ReLU, Linear(10), Softmax)
    assert(names(network) === Seq("0", "1", "2", "3"))
    assert(network.nodes.map(_.op) === Seq("Linear", "ReLU", "Linear", "Softmax"))
    assert(network.nodes.map(_.inputs) === Seq(Seq("features"), Seq("0"), Seq("1"), Seq("2")))
    assert(network.outputs === Seq("3"))
  }

  test("layers of a container have its name before theirs") {
    val network =
      Network.sequential(Sequential(Linear(4), Sequential(Tanh)), Residual(Linear(4)), Linear(1))
    assert(names(network) === Seq("0.0", "0.1.0", "1.0", "1", "2"))
  }

  test("a residual adds what it reads to what its layers make of it") {
    val network = Network.sequential(Linear(4), Residual(ReLU, Linear(4)))
    assert(network.nodes.last === Node("1", "Add", Seq("1.1", "0")))
  }

  test("a residual's shortcut stands for what it reads") {
    val network = Network.sequential(ReLU, Residual(Linear(8)).withShortcut(Linear(8)))
    assert(names(network) === Seq("0", "1.0", "1.shortcut.0", "1"))
    assert(network.nodes.last.inputs === Seq("1.0", "1.shortcut.0"))
    assert(network.nodes(2).inputs === Seq("0"))
  }

  test("an empty container passes on what it reads") {
    val network = Network.sequential(Linear(2), Sequential(), ReLU)
    assert(network.nodes.last.inputs === Seq("0"))
  }

  test("arguments are PyTorch's, and those with their default are left out") {
    val network = Network.sequential(
      Conv2d(8, 3, padding = Padding.Same, bias = false),
      MaxPool2d((2, 1), stride = Some(2)),
      Linear(784, 10),
      Dropout(),
      Dropout(0.2)
    )
    assert(
      network.nodes.map(_.args) === Seq(
        Map(
          "out_channels" -> JInt(8),
          "kernel_size" -> JInt(3),
          "padding" -> JString("same"),
          "bias" -> org.json4s.JsonAST.JBool.False
        ),
        Map(
          "kernel_size" -> org.json4s.JsonAST.JArray(List(JInt(2), JInt(1))),
          "stride" -> JInt(2)
        ),
        Map("in_features" -> JInt(784), "out_features" -> JInt(10)),
        Map.empty,
        Map("p" -> org.json4s.JsonAST.JDouble(0.2))
      )
    )
  }

  test("a layer may be written as PyTorch writes it") {
    assert(
      Network.sequential(Linear(1), ReLU(), Sigmoid()) ===
        Network.sequential(Linear(1), ReLU, Sigmoid)
    )
    assert(
      Network.sequential(Flatten(), GELU(), Softmax()) ===
        Network.sequential(Flatten, GELU, Softmax)
    )
  }

  private val everyLayer = Network
    .sequential(
      Conv2d(
        8,
        (3, 5),
        stride = 2,
        padding = 1,
        dilation = (1, 2),
        groups = 2,
        inChannels = Some(2)
      ),
      BatchNorm2d(eps = 1e-3, momentum = 0.2, affine = false),
      MaxPool2d(2, padding = 1, dilation = 2, ceilMode = true),
      AvgPool2d(2, stride = Some(1), padding = 1, ceilMode = true, countIncludePad = false),
      AdaptiveMaxPool2d((3, 4)),
      AdaptiveAvgPool2d(2),
      ZeroPad2d(1),
      ZeroPad2d(0, 1, -1, 2),
      Permute(2, 3, 1),
      Residual(Conv2d(8, 1), Tanh).withShortcut(Identity),
      Flatten(1, -1),
      Linear(12, bias = false),
      BatchNorm1d(numFeatures = Some(12)),
      LayerNorm(12),
      LayerNorm(Seq(12), eps = 1e-6, elementwiseAffine = true, bias = false),
      GELU("tanh"),
      Dropout(0.1),
      Reshape(3, -1),
      LSTM(7, numLayers = 2, bias = false, dropout = 0.1, bidirectional = true, output = "last"),
      GRU(7, numLayers = 2, bidirectional = true),
      Embedding(10, 3, paddingIdx = Some(0)),
      Sequential(ReLU6, LeakyReLU, LeakyReLU(0.2), ELU, ELU(0.5), SELU, SiLU, Mish, Softsign),
      Sequential(Hardtanh, LogSigmoid, Hardsigmoid, Hardswish, Softplus),
      Sequential(ReLU, Sigmoid, LogSoftmax),
      Softmax
    )
    .withInputShape(2, 28, 28)

  test("JSON gives back every layer and the shape of the input") {
    assert(Network.fromJson(everyLayer.toJson) === everyLayer)
    assert(Network.fromJson(everyLayer.toPrettyJson) === everyLayer)
    assert(
      Network.fromJson(Network.fromJson(everyLayer.toJson).toJson).toJson === everyLayer.toJson
    )
  }

  test("what the native library gets has no shapes of inputs: they come with the data") {
    assert(
      NetworkJson.specification(everyLayer).obj.map(_._1) === Seq(
        "format",
        "inputs",
        "nodes",
        "outputs"
      )
    )
  }

  test("a graph of several inputs is given by its nodes") {
    val network = Network(
      Seq("wide", "deep"),
      Seq(
        Node.of("hidden", Linear(8), "deep"),
        Node.of("joined", Concatenate(), "hidden", "wide"),
        Node.of("squared", Multiply, "joined", "joined"),
        Node.of("spread", Subtract, "squared", "joined"),
        Node.of("most", Maximum, "spread", "joined"),
        Node.of("least", Minimum, "most", "joined"),
        Node.of("mean", Average, "least", "joined"),
        Node.of("out", Linear(2), "mean")
      ),
      Seq("out")
    )
    assert(Network.fromJson(network.toJson) === network)
  }

  private def file(values: Byte*): Array[Byte] =
    Array[Byte](2, 0, 0, 0, 0, 0, 0, 0) ++ "{}".getBytes ++ values

  test(
    "weights are a part of a network: of its equality and its JSON, not of what native code reads"
  ) {
    val network = Network.sequential(Linear(2))
    val from = network.withWeights(file(1, 2, 3))
    assert(from !== network)
    assert(from === network.withWeights(file(1, 2, 3)))
    assert(from.hashCode === network.withWeights(file(1, 2, 3)).hashCode)
    assert(from !== network.withWeights(file(1, 2, 4)))
    assert(from.withoutWeights === network)
    assert(network.weights.isEmpty)
    assert(Network.fromJson(from.toJson) === from)
    assert(Network.fromJson(from.toJson).weights.get === file(1, 2, 3))
    assert(NetworkJson.specification(from) === NetworkJson.specification(network))
  }

  test("a network's weights cannot be changed from outside") {
    val bytes = file(1)
    val network = Network.sequential(Linear(2)).withWeights(bytes)
    bytes(10) = 7
    network.weights.get(10) = 8
    assert(network.weights.get === file(1))
  }

  test("a network is told in a line: its layers by their kind, its weights by their size") {
    val network = Network.sequential(Linear(2), ReLU)
    assert(network.toString === "Network(features -> Linear, ReLU -> 1)")
    val long = Network.sequential(Seq.fill(30)(ReLU): _*).withWeights(file(1, 2))
    assert(long.toString.endsWith("ReLU and 10 more -> 29, starting from 12 bytes of weights)"))
  }

  private def refused(text: String)(make: => Any): Unit = {
    val error = intercept[IllegalArgumentException](make)
    assert(error.getMessage.contains(text), error.getMessage)
    ()
  }

  test("weights that are no safetensors file are refused") {
    val network = Network.sequential(Linear(2))
    refused("the weights, 0 bytes, are not a safetensors file")(network.withWeights(Array.empty))
    refused("are not a safetensors file")(network.withWeights("a pickled state_dict".getBytes))
    refused("are not a safetensors file")(network.withWeights(file().dropRight(1)))
  }

  test("wrong arguments are refused where the layer is made, by name") {
    refused("Linear: out_features must be at least 1, not 0")(Linear(0))
    refused("Conv2d: kernel_size must be at least 1, not 0")(Conv2d(1, 0))
    refused("Conv2d: out_channels, 3, must be a multiple of groups, 2")(Conv2d(3, 1, groups = 2))
    refused("needs a stride of 1")(Conv2d(3, 3, stride = 2, padding = Padding.Same))
    refused("Dropout: p must be between 0 and 1, not 1.5")(Dropout(1.5))
    refused("Reshape: shape [-1, -1]")(Reshape(-1, -1))
    refused("GELU: approximate must be 'none' or 'tanh', not 'erf'")(GELU("erf"))
    refused("mix the rows")(Softmax(0))
    refused("Embedding: padding_idx 9")(Embedding(9, 2, Some(9)))
    refused("Residual: needs at least one layer")(Residual())
    refused("LSTM: output must be 'sequence' or 'last', not 'first'")(LSTM(1, output = "first"))
    refused("GRU: num_layers must be at least 1, not 0")(GRU(1, numLayers = 0))
    refused("Permute: dims [0, 1] must hold each of 1 to 2 once")(Permute(0, 1))
    refused("AdaptiveAvgPool2d: output_size must be at least 1, not 0")(AdaptiveAvgPool2d(0))
    refused("LeakyReLU: negative_slope must be finite, not NaN")(LeakyReLU(Double.NaN))
    refused("at least one layer")(Network.sequential())
  }

  test("a graph that does not hold together is refused by the name of the layer") {
    def graph(nodes: Node*): Network = Network(Seq("x"), nodes, Seq("out"))
    refused("layer 'out' (Linear) reads 'y'")(graph(Node.of("out", Linear(1), "y")))
    refused("the name 'out' is used twice")(
      graph(Node.of("out", Linear(1), "x"), Node.of("out", ReLU, "x"))
    )
    refused("layer 'out' (Add) reads nothing")(graph(Node.of("out", Add)))
    refused("the network's output 'out' is not a layer")(graph(Node.of("a", ReLU, "x")))
    refused("inputShapes names 'y'")(
      Network(Seq("x"), Seq(Node.of("out", ReLU, "x")), Seq("out"), Map("y" -> Seq(1)))
    )
    refused("the shape of input 'features'")(Network.sequential(ReLU).withInputShape(1, 0))
  }

  test("JSON that is not a network's is refused with what is wrong") {
    val json = Network.sequential(Linear(2)).toJson
    refused("it is not JSON")(Network.fromJson("{"))
    refused("the network is not an object")(Network.fromJson("[]"))
    refused("unknown field 'layers'")(Network.fromJson(json.replace("\"nodes\"", "\"layers\"")))
    refused("its format is 'firesteel.network/2'")(
      Network.fromJson(json.replace("network/1", "network/2"))
    )
    refused("it has no 'format'")(Network.fromJson("{}"))
    def weights(value: String): String = s"""${json.dropRight(1)},"weights":$value}"""
    refused("its 'weights' are not a string")(Network.fromJson(weights("3")))
    refused("safetensors file in base64")(Network.fromJson(weights("\"*\"")))
    refused("the weights, 3 bytes, are not a safetensors file")(
      Network.fromJson(weights("\"AAAA\""))
    )
    refused("node 0 has an unknown field 'kind'")(
      Network.fromJson(json.replace("\"op\"", "\"kind\""))
    )
    refused("'inputs' of node 0 is not a list")(
      Network.fromJson(json.replace("\"inputs\":[\"features\"],\"args\"", "\"inputs\":3,\"args\""))
    )
  }
}
