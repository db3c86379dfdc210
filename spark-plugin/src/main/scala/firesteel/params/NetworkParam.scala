package firesteel.params

import java.util.{Collections, WeakHashMap}

import firesteel.network.Network
import org.apache.spark.ml.param.{Param, ParamPair, Params}
import org.json4s.JsonAST.{JArray, JString}
import org.json4s.jackson.JsonMethods.{compact, parse, render}

/** A parameter with a network in JSON, the form in which other languages and Spark Connect pass it. Any valid JSON is
  * normalised to that of `Network.toJson`. In a grid of parameters:
  * `addGrid(estimator.network, networks.map(_.toJson))`. Instances are made by [[TextParam.of]], without the constructor.
  */
final class NetworkParam private[params] (owner: Params, key: String, help: String)
    extends Param[String](owner, key, help) {

  override def ->(value: String): ParamPair[String] = super.->(NetworkParam.canonical(value))

  /** Returns the parameter with a network, for a `ParamMap`. */
  def ->(value: Network): ParamPair[String] = super.->(NetworkParam.textOf(value))

  /** Returns a JSON string. A long one, because of weights, is split into a list of strings, since Spark's reader of
    * metadata rejects longer ones.
    */
  override def jsonEncode(value: String): String =
    if (value.length <= NetworkParam.PartChars) super.jsonEncode(value)
    else compact(render(JArray(value.grouped(NetworkParam.PartChars).map(JString(_)).toList)))

  override def jsonDecode(json: String): String = parse(json) match {
    case JString(text) => text
    case JArray(parts) => parts.map(part).mkString
    case other => part(other)
  }

  private def part(json: org.json4s.JValue): String = json match {
    case JString(text) => text
    case _ => throw new IllegalArgumentException(s"the saved parameter $name is not a string")
  }
}

private[firesteel] object NetworkParam {

  /** The maximum length of a part, well below Jackson's limit of 20 million. */
  private[params] val PartChars = 1 << 23

  /** Networks by their canonical JSON, for as long as that is referenced: it may hold many megabytes of weights. */
  private val parsed = Collections.synchronizedMap(new WeakHashMap[String, Network])

  /** Returns the network of a JSON text.
    *
    * @throws java.lang.IllegalArgumentException
    *   when it is not the JSON of a network, saying where
    */
  private[params] def networkOf(text: String): Network =
    Option(parsed.get(text)).getOrElse(Network.fromJson(text))

  /** Returns the JSON of a network, and caches the network. */
  private[params] def textOf(network: Network): String = {
    val text = network.toJson
    parsed.putIfAbsent(text, network)
    text
  }

  private def canonical(text: String): String =
    if (parsed.containsKey(text)) text else textOf(Network.fromJson(text))

  private val isNetwork: String => Boolean = { text =>
    val _ = networkOf(text)
    true
  }

  private val create = TextParam.of(classOf[NetworkParam])

  private[params] def apply(parent: Params, name: String, doc: String): NetworkParam =
    create(parent, name, doc, isNetwork)
}

/** The network parameter. */
private[firesteel] trait HasNetwork extends Params {

  /** The network that is trained, as JSON. Required. */
  final val network: NetworkParam = NetworkParam(this, "network", "the network that is trained")

  final def getNetwork: Network = NetworkParam.networkOf($(network))

  /** Returns a description of a parameter. The network is not shown as its JSON, which may hold many megabytes of
    * weights.
    */
  override def explainParam(param: Param[_]): String =
    if (param == network && isSet(network))
      s"${network.name}: ${network.doc} (current: $getNetwork)"
    else super.explainParam(param)
}

/** The setter of [[HasNetwork]], for estimators. */
private[firesteel] trait NetworkSetter extends HasNetwork {
  def setNetwork(value: Network): this.type = set(network -> value)
}
