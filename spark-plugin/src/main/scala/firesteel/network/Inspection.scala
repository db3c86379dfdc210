package firesteel.network

import firesteel.bridge.NativeRuntime
import firesteel.data.{DataPlan, InputColumn}
import firesteel.plugin.NativeSetup
import firesteel.util.Json
import org.json4s.DefaultFormats
import org.json4s.JsonAST.{JArray, JField, JInt, JObject, JString}
import org.json4s.jackson.JsonMethods.parse

/** The shapes of a network, of one row.
  *
  * @param inputs
  *   its inputs, in order
  * @param outputs
  *   its outputs, in order
  * @param parameters
  *   the number of its trained parameters
  * @param weightBytes
  *   the size of the saved weights in bytes, buffers included, or a little more
  * @param autograd
  *   the reason why the network trains and predicts by autograd; none if it is planned
  */
private[firesteel] final case class Inspection(
    inputs: Seq[InputInspection],
    outputs: Seq[OutputInspection],
    parameters: Long,
    weightBytes: Long,
    autograd: Option[String] = None
) {

  /** The way in which the network is computed, for the summary. */
  def execution: String = autograd match {
    case Some(reason) => s"execution: the network runs by autograd, because $reason"
    case None => "execution: all layers of the network are planned"
  }

  /** Returns the only output, for an estimator of networks with one output.
    *
    * @param estimator
    *   the kind of the estimator, for the error
    */
  def onlyOutput(estimator: String): OutputInspection = outputs match {
    case Seq(only) => only
    case several =>
      throw new IllegalArgumentException(
        s"the network has ${several.size} outputs (${several.map(_.name).mkString(", ")}); $estimator needs one"
      )
  }
}

/** An input of a network.
  *
  * @param name
  *   the name of the input in the network
  * @param integer
  *   true if it holds integers, such as token ids, which are not scaled
  */
private[firesteel] final case class InputInspection(name: String, integer: Boolean)

/** An output of a network.
  *
  * @param name
  *   the name of the layer, or of a module's output
  * @param shape
  *   the shape of one row
  * @param activation
  *   `softmax` or `sigmoid` if the network ends in one that becomes a part of the loss; else `none`
  */
private[firesteel] final case class OutputInspection(
    name: String,
    shape: Seq[Int],
    activation: String
) {

  /** The number of values of a row. */
  def size: Int = shape.product
}

private[firesteel] object OutputInspection {
  val Softmax = "softmax"
  val Sigmoid = "sigmoid"
}

private[firesteel] object Inspection {
  private implicit val formats: DefaultFormats.type = DefaultFormats

  /** Infers the shapes of a network over these inputs, on the driver, without training.
    *
    * @throws firesteel.bridge.InvalidSpecException
    *   naming the layer that does not fit, or the error of a module
    */
  def of(network: Network, inputs: Seq[InputColumn]): Inspection =
    parse(ask(network, inputs)).extract[Inspection]

  /** Returns true if all workers of a strategy wait for each other. */
  def inRounds(strategy: String): Boolean = {
    NativeSetup.ensureLoaded()
    (parse(NativeRuntime.describe()) \ "strategiesInRounds").extract[Seq[String]].contains(strategy)
  }

  /** Checks that losses match the network's outputs, their labels and the controls.
    *
    * @param losses
    *   the `TermSpec` of each output
    * @throws firesteel.bridge.InvalidSpecException
    *   naming the output, its shape and the label, or the option
    */
  def check(
      network: Network,
      data: DataPlan,
      losses: Seq[JObject],
      controls: JObject
  ): Unit = {
    val labels = JArray(data.labels.map(_.json).toList)
    val terms = JArray(losses.toList)
    val more = Seq[JField]("losses" -> terms, "labels" -> labels, "controls" -> controls)
    val _ = ask(network, data.inputs, more: _*)
  }

  /** Checks that weights contain exactly the tensors of a network over these inputs.
    *
    * @throws firesteel.bridge.InvalidDataException
    *   naming the tensor that is missing, unknown, of another shape or type, or not finite
    */
  def checkWeights(network: Network, inputs: Seq[InputColumn], weights: SafeTensors): Unit = {
    NativeSetup.ensureLoaded()
    val text = Json.text(JObject(request(network, inputs)))
    NativeRuntime.checkWeights(text, network.module.map(_.bytes).orNull, weights.bytes)
  }

  /** Returns weights of a network that are all 0.
    *
    * @param specification
    *   the `NetworkSpec`
    * @param module
    *   the archive of a TorchScript network, or null
    */
  def zeroWeights(
      specification: JObject,
      inputs: Seq[InputColumn],
      module: Array[Byte]
  ): Array[Byte] =
    NativeRuntime.zeroWeights(Json.text(JObject(request(specification, inputs))), module)

  private def ask(network: Network, inputs: Seq[InputColumn], more: JField*): String = {
    NativeSetup.ensureLoaded()
    val text = Json.text(JObject(request(network, inputs) ++ more))
    NativeRuntime.inspect(text, network.module.map(_.bytes).orNull)
  }

  private def request(network: Network, inputs: Seq[InputColumn]): List[JField] =
    request(NetworkJson.specification(network), inputs)

  private def request(specification: JObject, inputs: Seq[InputColumn]): List[JField] = {
    val shapes = inputs.map { input =>
      JObject(
        "name" -> JString(input.name),
        "shape" -> JArray(input.shape.map(JInt(_)).toList)
      )
    }
    List(
      "network" -> specification,
      "inputs" -> JArray(shapes.toList)
    )
  }
}
