package firesteel.network

import java.util.Base64

import scala.util.Try
import scala.util.control.NonFatal

import com.fasterxml.jackson.core.StreamReadConstraints
import com.fasterxml.jackson.databind.ObjectMapper
import org.json4s.JsonAST.{JArray, JField, JInt, JObject, JString, JValue}
import org.json4s.jackson.JsonMethods

/** The JSON of a network. `inputShapes` and `weights` are for the JVM alone: the native library receives the shapes
  * with the data, and weights as bytes.
  */
private[firesteel] object NetworkJson {

  /** Jackson without its limit on the length of a string, which weights exceed. */
  private object Unlimited extends JsonMethods {
    override val mapper: ObjectMapper = {
      val own = super.mapper
      own.getFactory.setStreamReadConstraints(
        StreamReadConstraints.builder().maxStringLength(Int.MaxValue).build()
      )
      own
    }
  }

  /** The version of the format, which the native library reads as well. */
  val Format = "firesteel.network/1"

  def compact(network: Network): String = Unlimited.compact(Unlimited.render(toJson(network)))

  def pretty(network: Network): String = Unlimited.pretty(Unlimited.render(toJson(network)))

  /** The format of modules in TorchScript. */
  val ScriptFormat = "firesteel.torchscript/1"

  /** Returns the network for the native library; the archive of a module is passed separately. */
  def specification(network: Network): JObject = network match {
    case graph: LayerGraph => described(graph)
    case module: TorchScript =>
      JObject(described(module).obj :+ JField("sha256", JString(module.archive.hash)))
  }

  private def described(graph: LayerGraph): JObject = JObject(
    "format" -> JString(Format),
    "inputs" -> strings(graph.inputs),
    "nodes" -> JArray(graph.nodes.map(nodeToJson).toList),
    "outputs" -> strings(graph.outputs)
  )

  private def described(module: TorchScript): JObject = {
    val arguments = module.arguments.map { argument =>
      JObject("name" -> JString(argument.name), "type" -> JString(argument.elements.name))
    }
    JObject(
      "format" -> JString(ScriptFormat),
      "inputs" -> JArray(arguments.toList),
      "outputs" -> strings(module.outputs)
    )
  }

  private def toJson(network: Network): JObject = {
    val own = network match {
      case graph: LayerGraph => described(graph).obj
      case module: TorchScript =>
        described(module).obj :+ JField("module", JString(encode(module.archive.bytes)))
    }
    val shapes = network.inputs.flatMap(input =>
      network.inputShapes.get(input).map(shape => JField(input, Args.ints(shape)))
    )
    JObject(
      own ++
        Option.when(shapes.nonEmpty)(JField("inputShapes", JObject(shapes.toList))) ++
        network.initialWeights.map(file => JField("weights", JString(encode(file.bytes))))
    )
  }

  private def encode(bytes: Array[Byte]): String = Base64.getEncoder.encodeToString(bytes)

  private def nodeToJson(node: Node): JValue = JObject(
    "name" -> JString(node.name),
    "op" -> JString(node.op),
    "inputs" -> strings(node.inputs),
    "args" -> JObject(node.args.toList.sortBy(_._1).map { case (name, value) =>
      JField(name, value)
    })
  )

  private def strings(values: Seq[String]): JValue = JArray(values.map(JString(_)).toList)

  def parse(json: String): Network = {
    val parsed =
      try Unlimited.parse(json)
      catch { case NonFatal(e) => fail(s"it is not JSON: ${e.getMessage.linesIterator.next()}") }
    val root = parsed match {
      case JObject(values) => values.toMap
      case _ => fail("the network is not an object")
    }
    root.get("format") match {
      case Some(JString(Format)) => parseGraph(parsed)
      case Some(JString(ScriptFormat)) => parseModule(parsed)
      case Some(JString(other)) =>
        fail(s"its format is '$other', but this version reads '$Format' and '$ScriptFormat'")
      case _ => fail("it has no 'format'")
    }
  }

  private def parseGraph(json: JValue): Network = {
    val known = Set("format", "inputs", "nodes", "outputs", "inputShapes", "weights")
    val root = fields("the network", json, known)
    LayerGraph(
      stringsAt("the network", root, "inputs"),
      required("the network", root, "nodes") match {
        case JArray(nodes) =>
          nodes.zipWithIndex.map { case (node, index) => parseNode(node, index) }
        case _ => fail("its 'nodes' are not a list")
      },
      stringsAt("the network", root, "outputs"),
      root.get("inputShapes").map(parseShapes).getOrElse(Map.empty),
      root.get("weights").map(parseWeights)
    )
  }

  private def parseModule(json: JValue): Network = {
    val known = Set("format", "inputs", "outputs", "inputShapes", "module", "weights")
    val root = fields("the network", json, known)
    TorchScript(
      required("the network", root, "inputs") match {
        case JArray(inputs) =>
          inputs.zipWithIndex.map { case (input, index) => parseArgument(input, index) }
        case _ => fail("its 'inputs' are not a list")
      },
      stringsAt("the network", root, "outputs"),
      root.get("inputShapes").map(parseShapes).getOrElse(Map.empty),
      Try(
        TorchScriptArchive(Base64.getDecoder.decode(stringAt("the network", root, "module")))
      ).recover { case NonFatal(error) =>
        fail(s"its 'module' is not an archive in base64: ${error.getMessage}")
      }.get,
      root.get("weights").map(parseWeights)
    )
  }

  private def parseArgument(json: JValue, index: Int): TorchScript.Input = {
    val where = s"input $index"
    val input = fields(where, json, Set("name", "type"))
    val kind = stringAt(where, input, "type")
    TorchScript.Input(
      stringAt(where, input, "name"),
      TorchScript.Types.find(_.name == kind).getOrElse {
        fail(
          s"the type of $where is '$kind', not ${TorchScript.Types.map(_.name).mkString(" or ")}"
        )
      }
    )
  }

  private def parseWeights(json: JValue): SafeTensors = json match {
    case JString(text) =>
      Try(SafeTensors(Base64.getDecoder.decode(text))).recover { case NonFatal(error) =>
        fail(s"its 'weights' are not a safetensors file in base64: ${error.getMessage}")
      }.get
    case _ => fail("its 'weights' are not a string")
  }

  private def parseNode(json: JValue, index: Int): Node = {
    val where = s"node $index"
    val node = fields(where, json, Set("name", "op", "inputs", "args"))
    Node(
      stringAt(where, node, "name"),
      stringAt(where, node, "op"),
      stringsAt(where, node, "inputs"),
      node.get("args") match {
        case None => Map.empty
        case Some(JObject(args)) => args.toMap
        case Some(_) => fail(s"'args' of $where is not an object")
      }
    )
  }

  private def parseShapes(json: JValue): Map[String, Seq[Int]] = json match {
    case JObject(shapes) =>
      shapes.map {
        case (input, JArray(sizes)) =>
          input -> sizes.map {
            case JInt(size) if size.isValidInt => size.intValue
            case _ => fail(s"the shape of input '$input' is not a list of whole numbers")
          }
        case (input, _) => fail(s"the shape of input '$input' is not a list")
      }.toMap
    case _ => fail("its 'inputShapes' is not an object")
  }

  private def fields(where: String, json: JValue, known: Set[String]): Map[String, JValue] =
    json match {
      case JObject(values) =>
        values.map(_._1).find(name => !known(name)).foreach { name =>
          fail(s"$where has an unknown field '$name'")
        }
        values.toMap
      case _ => fail(s"$where is not an object")
    }

  private def required(where: String, values: Map[String, JValue], name: String): JValue =
    values.getOrElse(name, fail(s"$where has no '$name'"))

  private def stringAt(where: String, values: Map[String, JValue], name: String): String =
    required(where, values, name) match {
      case JString(value) => value
      case _ => fail(s"'$name' of $where is not a string")
    }

  private def stringsAt(where: String, values: Map[String, JValue], name: String): Seq[String] =
    required(where, values, name) match {
      case JArray(elements) =>
        elements.map {
          case JString(value) => value
          case _ => fail(s"'$name' of $where is not a list of strings")
        }
      case _ => fail(s"'$name' of $where is not a list")
    }

  private def fail(problem: String): Nothing =
    throw new IllegalArgumentException(s"This is not the JSON of a network: $problem.")
}
