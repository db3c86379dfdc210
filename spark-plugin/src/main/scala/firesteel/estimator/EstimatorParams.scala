package firesteel.estimator

import firesteel.data.InputRequest
import firesteel.network.Network
import firesteel.params.{HuberParams, InputRequests, Losses, TrainingParams, Validators}
import org.apache.spark.ml.param.shared.{HasOutputCols, HasWeightCol}
import org.apache.spark.ml.param.{DoubleArrayParam, StringArrayParam}
import org.apache.spark.sql.types.StructType

/** The parameters of networks with any number of inputs and outputs. */
private[estimator] trait EstimatorParams
    extends TrainingParams
    with HuberParams
    with HasOutputCols
    with HasWeightCol {

  /** One column for each of the network's inputs, in their order: an ML vector (dense or sparse), an array of a numeric
    * type, binary, whose bytes are scaled to lie between 0 and 1, or one numeric column. The parameter of this name of
    * the other estimators is different: its columns form one input together. Required.
    */
  final val featuresCols: StringArrayParam = new StringArrayParam(
    this,
    "featuresCols",
    "one column for each of the network's inputs, in their order",
    Validators.notEmptyArray("featuresCols")
  )

  /** The factor of the values of each input, in the inputs' order. An input of token ids takes 1. Default: 1, but 1/255
    * for a binary column, whose bytes then lie between 0 and 1.
    */
  final val featuresScales: DoubleArrayParam = new DoubleArrayParam(
    this,
    "featuresScales",
    "factor of the values of each input; unless set, 1/255 for binary columns and 1 for others",
    (scales: Array[Double]) => scales.forall(Validators.scale("featuresScales"))
  )

  /** One column for each of the network's outputs, in their order. A numeric column holds class indices where the output
    * has several values or the loss is one of classes, else a number; a column of ML vectors or of numeric arrays holds a
    * number for each value. Required.
    */
  final val labelCols: StringArrayParam = new StringArrayParam(
    this,
    "labelCols",
    "one label column for each of the network's outputs, in their order",
    Validators.notEmptyArray("labelCols")
  )

  /** The loss of each output, in their order. Default: cross_entropy for an output of several values with class indices
    * or one that ends in Softmax, binary_cross_entropy_with_logits for one that ends in Sigmoid, mse_loss for others.
    */
  final val losses: StringArrayParam = new StringArrayParam(
    this,
    "losses",
    s"the loss of each output: ${Losses.all.mkString(", ")}; unless set, chosen by output and label",
    (names: Array[String]) => names.forall(Validators.oneOf("loss", Losses.all))
  )

  /** The weight of each output's loss in the sum, positive numbers. Default: 1 for each. */
  final val lossWeights: DoubleArrayParam = new DoubleArrayParam(
    this,
    "lossWeights",
    "weight of each output's loss in the sum (> 0); unless set, 1 for each",
    (weights: Array[Double]) => weights.forall(Validators.positive("lossWeights"))
  )

  final def getFeaturesCols: Array[String] = $(featuresCols)
  final def getFeaturesScales: Array[Double] = $(featuresScales)
  final def getLabelCols: Array[String] = $(labelCols)
  final def getLosses: Array[String] = $(losses)
  final def getLossWeights: Array[Double] = $(lossWeights)

  /** Returns a request for each input of the network. */
  private[firesteel] final def requests(network: Network, schema: StructType): Seq[InputRequest] = {
    require(isSet(featuresCols), s"$uid has no featuresCols; set one column for each input")
    val columns = each("featuresCols", $(featuresCols).toSeq, "inputs", network.inputs)
    val scales = get(featuresScales).fold(columns.map(InputRequests.scaleOf(schema, _))) { set =>
      each("featuresScales", set.toSeq, "inputs", network.inputs)
    }
    network.inputs.zip(columns).zip(scales).map { case ((input, column), scale) =>
      InputRequest(input, Seq(column), network.inputShapes.get(input), scale)
    }
  }

  /** Returns the output columns, one for each output; by default they have the outputs' names. */
  private[estimator] final def outputNames(network: Network): Seq[String] = {
    val names = each(
      "outputCols",
      get(outputCols).fold(network.outputs)(_.toSeq),
      "outputs",
      network.outputs
    )
    names.filter(_.nonEmpty).groupBy(identity).find(_._2.size > 1).foreach { case (name, _) =>
      throw new IllegalArgumentException(s"outputCols names the column '$name' twice")
    }
    names
  }

  /** Checks that there is one value for each input or output. */
  private[estimator] final def each[T](
      param: String,
      values: Seq[T],
      what: String,
      names: Seq[String]
  ): Seq[T] = {
    if (values.size != names.size) {
      throw new IllegalArgumentException(
        s"$param has ${values.size} values (${values.mkString(", ")}), but the network has ${names.size} $what " +
          s"(${names.mkString(", ")}); it needs one for each"
      )
    }
    values
  }
}
