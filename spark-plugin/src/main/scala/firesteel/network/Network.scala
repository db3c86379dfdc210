package firesteel.network

import scala.collection.mutable

import firesteel.util.HadoopFiles
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.Path
import org.apache.spark.sql.SparkSession
import org.json4s.JsonAST.JValue

/** A node of a network's graph: one layer of `torch.nn`, or `Add`.
  *
  * @param name
  *   the unique name; the parameters are named `<name>.weight` and so on, as in PyTorch's `state_dict`
  * @param op
  *   the layer's name in `torch.nn`
  * @param inputs
  *   the inputs of the layer: names of the network's inputs or of earlier nodes
  * @param args
  *   arguments as `torch.nn` names them; an absent one has PyTorch's default, an absent input size is inferred
  */
final case class Node(
    name: String,
    op: String,
    inputs: Seq[String],
    args: Map[String, JValue] = Map.empty
)

object Node {

  /** Returns a node of a layer. */
  def of(name: String, layer: StandardLayer, inputs: String*): Node =
    Node(name, layer.op, inputs, layer.args.toMap)
}

/** A neural network: a graph of layers ([[LayerGraph]]), or a module of PyTorch ([[TorchScript]]).
  *
  * Shapes are unknown here: they are checked on the driver for the columns of a fit.
  */
sealed abstract class Network extends Product with Serializable {

  /** The names of the network's inputs. */
  def inputs: Seq[String]

  /** The names of the network's outputs. */
  def outputs: Seq[String]

  /** The shapes of one row, of the inputs whose features are a flat list of values and are reshaped, such as
    * `[1, 28, 28]` for 784 pixels.
    */
  def inputShapes: Map[String, Seq[Int]]

  private[firesteel] def initialWeights: Option[SafeTensors]

  /** The archive of a TorchScript module, which accompanies the network's JSON for the native library. */
  private[firesteel] def module: Option[TorchScriptArchive]

  private[network] def withShapes(shapes: Map[String, Seq[Int]]): Network

  private[network] def withInitialWeights(weights: Option[SafeTensors]): Network

  /** Returns the same network over rows of this shape: features that are a flat list of values are reshaped. For
    * networks with one input.
    */
  def withInputShape(shape: Int*): Network = {
    require(inputs.size == 1, "withInputShape is for networks of one input; use withInputShapes")
    withShapes(Map(inputs.head -> shape))
  }

  /** Returns the same network over rows of these shapes; see [[inputShapes]]. */
  def withInputShapes(shapes: Map[String, Seq[Int]]): Network = withShapes(shapes)

  /** Returns the same network with initial weights, such as those of a model.
    *
    * @param weights
    *   a safetensors file with exactly the network's tensors, in float32 and PyTorch's shapes, named as in its
    *   `state_dict`: `<node>.weight` and so on, including the buffers of a batch normalisation
    * @throws java.lang.IllegalArgumentException
    *   when the bytes are not a safetensors file; the tensors are checked by the fit, when shapes are known
    */
  def withWeights(weights: Array[Byte]): Network = withInitialWeights(Some(SafeTensors(weights)))

  /** Returns the same network without these weights: training starts from random ones, which depend on the seed, or
    * from those that a module was saved with.
    */
  def withoutWeights: Network = withInitialWeights(None)

  /** The initial weights as a safetensors file, if they are given. */
  def weights: Option[Array[Byte]] = initialWeights.map(_.toBytes)

  /** Returns the network as JSON, weights included; [[Network.fromJson]] reads it. */
  def toJson: String = NetworkJson.compact(this)

  /** Returns the JSON of [[toJson]] over several lines. */
  def toPrettyJson: String = NetworkJson.pretty(this)

  /** The part of `toString` about the initial weights. */
  private[network] def initialWeightsText: String =
    initialWeights.fold("")(weights => s", starting from $weights")

  private[network] def checkShapes(): Unit =
    inputShapes.foreach { case (input, shape) =>
      require(inputs.contains(input), s"inputShapes names '$input', which is not an input")
      require(
        shape.nonEmpty && shape.forall(_ > 0),
        s"the shape of input '$input' must have sizes of at least 1, not ${shape.mkString("[", ", ", "]")}"
      )
    }
}

/** A neural network as a directed graph of layers.
  *
  * Most are made by [[Network.sequential]]; any other graph is given by its nodes. Shapes are unknown here: they
  * are inferred and checked on the driver for the columns of a fit.
  *
  * @param inputs
  *   the names of the network's inputs
  * @param nodes
  *   the layers, each after its inputs
  * @param outputs
  *   the nodes whose values are the network's outputs
  * @param inputShapes
  *   see [[Network]]
  * @param initialWeights
  *   the initial weights, if they are given; see [[withWeights]]
  */
final case class LayerGraph private[network] (
    inputs: Seq[String],
    nodes: Seq[Node],
    outputs: Seq[String],
    inputShapes: Map[String, Seq[Int]],
    private[firesteel] val initialWeights: Option[SafeTensors]
) extends Network {
  check()

  override private[firesteel] def module: Option[TorchScriptArchive] = None

  override private[network] def withShapes(shapes: Map[String, Seq[Int]]): Network =
    copy(inputShapes = shapes)

  override private[network] def withInitialWeights(weights: Option[SafeTensors]): Network =
    copy(initialWeights = weights)

  override def toString: String = {
    val shown = nodes.take(LayerGraph.Shown).map(_.op).mkString(", ")
    val more =
      if (nodes.size > LayerGraph.Shown) s" and ${nodes.size - LayerGraph.Shown} more" else ""
    s"Network(${inputs.mkString(", ")} -> $shown$more -> ${outputs.mkString(", ")}$initialWeightsText)"
  }

  private def check(): Unit = {
    require(inputs.nonEmpty, "a network needs at least one input")
    require(nodes.nonEmpty, "a network needs at least one layer")
    require(outputs.nonEmpty, "a network needs at least one output")
    val known = mutable.Set.empty[String]
    def define(name: String): Unit = {
      require(name.nonEmpty, "a network's inputs and layers need a name")
      require(known.add(name), s"the name '$name' is used twice in the network")
    }
    inputs.foreach(define)
    nodes.foreach { node =>
      require(node.inputs.nonEmpty, s"layer '${node.name}' (${node.op}) reads nothing")
      node.inputs.foreach { input =>
        require(
          known(input),
          s"layer '${node.name}' (${node.op}) reads '$input', which is neither an input nor a layer before it"
        )
      }
      define(node.name)
    }
    val names = nodes.map(_.name).toSet
    outputs.foreach(name => require(names(name), s"the network's output '$name' is not a layer"))
    checkShapes()
  }
}

object LayerGraph {

  /** The number of layers that `toString` names. */
  private val Shown = 20
}

/** A module of PyTorch in TorchScript, as written by `torch.jit.save`.
  *
  * The module is trained as it is, from the weights that it was saved with. It must return logits for a loss that includes
  * the softmax, and take and return tensors whose first dimension is the rows.
  *
  * @param arguments
  *   the arguments of its `forward`, in order
  * @param outputs
  *   names for the results of its `forward`, a tensor or a tuple of tensors, in order
  * @param inputShapes
  *   see [[Network]]
  */
final case class TorchScript private[network] (
    arguments: Seq[TorchScript.Input],
    outputs: Seq[String],
    inputShapes: Map[String, Seq[Int]],
    private[firesteel] val archive: TorchScriptArchive,
    private[firesteel] val initialWeights: Option[SafeTensors]
) extends Network {
  check()

  override def inputs: Seq[String] = arguments.map(_.name)

  /** Returns a copy of the archive, which `torch.jit.load` reads. */
  def toBytes: Array[Byte] = archive.toBytes

  override private[firesteel] def module: Option[TorchScriptArchive] = Some(archive)

  override private[network] def withShapes(shapes: Map[String, Seq[Int]]): Network =
    copy(inputShapes = shapes)

  override private[network] def withInitialWeights(weights: Option[SafeTensors]): Network =
    copy(initialWeights = weights)

  override def toString: String =
    s"Network(${inputs.mkString(", ")} -> TorchScript, $archive -> ${outputs.mkString(", ")}$initialWeightsText)"

  private def check(): Unit = {
    require(arguments.nonEmpty, "a network needs at least one input")
    require(outputs.nonEmpty, "a network needs at least one output")
    Seq(inputs, outputs).foreach { names =>
      require(names.forall(_.nonEmpty), "the inputs and outputs of a network need a name")
      names.diff(names.distinct).headOption.foreach { twice =>
        throw new IllegalArgumentException(s"the name '$twice' is used twice in the network")
      }
    }
    checkShapes()
  }
}

object TorchScript {

  /** An argument of a module.
    *
    * @param name
    *   the name of the argument
    * @param elements
    *   the type of its elements
    */
  final case class Input(name: String, elements: Elements)

  /** The type of a tensor's elements. */
  sealed abstract class Elements(val name: String) extends Serializable

  /** Numbers. */
  case object Float32 extends Elements("float32")

  /** Token ids, indices. */
  case object Int64 extends Elements("int64")

  /** All types. */
  private[network] val Types: Seq[Elements] = Seq(Float32, Int64)

  /** Reads a file of any Hadoop file system, with the active session's configuration. */
  private[network] def read(path: String): Array[Byte] = {
    val conf = SparkSession.getActiveSession
      .orElse(SparkSession.getDefaultSession)
      .fold(new Configuration())(_.sparkContext.hadoopConfiguration)
    val file = new Path(path)
    HadoopFiles.read(file.getFileSystem(conf), file)
  }
}

object Network {

  /** The name of the input of a sequential network. */
  val DefaultInput: String = "features"

  /** The name of the output of a module that names none. */
  val DefaultOutput: String = "output"

  /** Returns a graph of layers; see [[LayerGraph]]. */
  def apply(
      inputs: Seq[String],
      nodes: Seq[Node],
      outputs: Seq[String],
      inputShapes: Map[String, Seq[Int]] = Map.empty
  ): LayerGraph = LayerGraph(inputs, nodes, outputs, inputShapes, None)

  /** Reads a module of PyTorch from a file of `torch.jit.save`.
    *
    * @param path
    *   the path of the file, on any of Hadoop's file systems
    * @param inputs
    *   the arguments of the module's `forward`
    * @param outputs
    *   names for its results
    * @throws java.lang.IllegalArgumentException
    *   when the file is not such an archive; the fit checks if the module takes the data
    */
  def torchScript(
      path: String,
      inputs: Seq[TorchScript.Input] = Seq(TorchScript.Input(DefaultInput, TorchScript.Float32)),
      outputs: Seq[String] = Seq(DefaultOutput)
  ): TorchScript =
    TorchScript(inputs, outputs, Map.empty, TorchScriptArchive(TorchScript.read(path)), None)

  /** Returns a network of consecutive layers with one input. Layers are named as in a `torch.nn.Sequential`: by their
    * index, and within a container by its name and their index there (`2.0`); those of a residual's shortcut as
    * `2.shortcut.0`.
    */
  def sequential(layers: Layer*): LayerGraph = {
    val graph = new GraphBuilder
    val output = graph.chain(layers, "", DefaultInput)
    Network(Seq(DefaultInput), graph.nodes, Seq(output))
  }

  /** Reads the JSON of [[Network.toJson]].
    *
    * @throws java.lang.IllegalArgumentException
    *   when it is not the JSON of a network, saying where
    */
  def fromJson(json: String): Network = NetworkJson.parse(json)

  /** Flattens containers to nodes. */
  private final class GraphBuilder {
    private val buffer = mutable.ArrayBuffer.empty[Node]

    def nodes: Seq[Node] = buffer.toVector

    /** Adds consecutive layers and returns the name of the last one. */
    def chain(layers: Seq[Layer], prefix: String, input: String): String =
      layers.zipWithIndex.foldLeft(input) { case (previous, (layer, index)) =>
        add(layer, s"$prefix$index", previous)
      }

    private def add(layer: Layer, name: String, input: String): String = layer match {
      case standard: StandardLayer => node(Node.of(name, standard, input))
      case Sequential(layers @ _*) => chain(layers, s"$name.", input)
      case Residual(layers, shortcut) =>
        val branch = chain(layers, s"$name.", input)
        val straight = chain(shortcut, s"$name.shortcut.", input)
        node(Node.of(name, Add, branch, straight))
    }

    private def node(added: Node): String = {
      buffer += added
      added.name
    }
  }
}
