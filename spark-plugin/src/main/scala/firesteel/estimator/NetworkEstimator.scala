package firesteel.estimator

import firesteel.data.{ColumnResolver, InputRequest}
import firesteel.fit.{FitData, NetworkTrainer, OutputObjective, PreparedFit}
import firesteel.model.{EstimatorReader, OutputSchema}
import firesteel.network.{Inspection, Network}
import firesteel.params.{HuberSetter, NetworkSetter, TrainingSetters}
import org.apache.spark.ml.Estimator
import org.apache.spark.ml.param.{Param, ParamMap}
import org.apache.spark.ml.util.{DefaultParamsWritable, Identifiable, MLReadable, MLReader}
import org.apache.spark.sql.types.StructType

/** Neural network with any number of inputs and outputs.
  *
  * `featuresCols` names one column for each input and `labelCols` one for each output, in the network's order. The training
  * minimises the sum of the outputs' losses, weighted by `lossWeights`. A trailing `Softmax` or `Sigmoid` of an output
  * becomes a part of its loss, and the model applies it.
  *
  * {{{
  * val network = Network(
  *   Seq("words", "numbers"),
  *   Seq(
  *     Node.of("embedding", Embedding(1000, 16), "words"),
  *     Node.of("flat", Flatten, "embedding"),
  *     Node.of("both", Concatenate(), "flat", "numbers"),
  *     Node.of("hidden", Linear(32), "both"),
  *     Node.of("logits", Linear(5), "hidden"),
  *     Node.of("topic", Softmax, "logits"),
  *     Node.of("score", Linear(1), "hidden")
  *   ),
  *   Seq("topic", "score")
  * )
  * val model = new NetworkEstimator()
  *   .setNetwork(network)
  *   .setFeaturesCols(Array("ids", "features"))
  *   .setLabelCols(Array("topicIndex", "rating"))
  *   .setOutputCols(Array("topicShares", "predictedRating"))
  *   .fit(train)
  * }}}
  *
  * With several outputs, the scores of validation rows have the output's name as a prefix: `topic_loss`, without its weight
  * in the sum, `topic_accuracy`, `score_mae`. The exceptions of `fit` are those of
  * [[firesteel.classification.NetworkClassifier]].
  */
final class NetworkEstimator(override val uid: String)
    extends Estimator[NetworkModel]
    with EstimatorParams
    with NetworkTrainer[NetworkModel]
    with NetworkSetter
    with HuberSetter
    with TrainingSetters
    with DefaultParamsWritable {

  def this() = this(Identifiable.randomUID("networkEstimator"))

  def setFeaturesCols(value: Array[String]): this.type = set(featuresCols, value)
  def setFeaturesScales(value: Array[Double]): this.type = set(featuresScales, value)
  def setLabelCols(value: Array[String]): this.type = set(labelCols, value)
  def setLosses(value: Array[String]): this.type = set(losses, value)
  def setLossWeights(value: Array[Double]): this.type = set(lossWeights, value)
  def setOutputCols(value: Array[String]): this.type = set(outputCols, value)
  def setWeightCol(value: String): this.type = set(weightCol, value)

  private[firesteel] override def inputRequests(
      network: Network,
      schema: StructType
  ): Seq[InputRequest] = requests(network, schema)

  /** Returns the schema with the output columns. The type of a column, double or vector, follows from the network if
    * the schema determines the sizes of its inputs: by the network's `inputShapes`, by the metadata of vectors, or for
    * single numbers. Else it is guessed from the label and the last layer, and only the model knows it.
    */
  override def transformSchema(schema: StructType): StructType = {
    val network = requiredNetwork
    checkColumns(schema, Nil)
    val labels = labelsOf(network)
    labels.foreach(EstimatorObjectives.check(schema, _))
    val names = outputNames(network)
    val sizes = ColumnResolver.known(schema, inputRequests(network, schema)) match {
      case Some(inputs) => Inspection.of(network, inputs).outputs.map(output => Some(output.size))
      case None =>
        network.outputs.zip(labels).map { case (output, label) =>
          OutputFields.likelySize(network, output, schema, label)
        }
    }
    OutputSchema.append(schema, OutputFields.fields(names, sizes))
  }

  override protected def prepare(data: FitData): PreparedFit[NetworkModel] =
    prepareNetwork(data)(objectives(_, data.df.schema))(new NetworkModel(uid, _))

  private def labelsOf(network: Network): Seq[String] = {
    require(isSet(labelCols), s"$uid has no labelCols; set one column for each output")
    each("labelCols", $(labelCols).toSeq, "outputs", network.outputs)
  }

  private def objectives(inspection: Inspection, schema: StructType): Seq[OutputObjective] = {
    val network = requiredNetwork
    val outputs = inspection.outputs
    get(featuresScales).toSeq.flatMap(_.toSeq).zip(inspection.inputs).foreach {
      case (scale, input) =>
        require(
          scale == 1 || !input.integer,
          s"featuresScales has $scale for the input '${input.name}', which holds token ids: these are not scaled; use 1"
        )
    }
    def chosen[T](param: Param[Array[T]]): Seq[Option[T]] =
      get(param).fold(outputs.map(_ => Option.empty[T])) { values =>
        each(param.name, values.toSeq, "outputs", network.outputs).map(Option(_))
      }
    val weights = chosen(lossWeights).map(_.getOrElse(1.0))
    outputs.zip(labelsOf(network)).zip(chosen(losses)).zip(weights).map {
      case (((output, label), loss), weight) =>
        val (column, name) = EstimatorObjectives.labelAndLoss(output, schema, label, loss)
        OutputObjective(column, lossSpec(name), weight)
    }
  }

  override def copy(extra: ParamMap): NetworkEstimator = defaultCopy(extra)

  override protected def loggedParams: Seq[Param[_]] =
    Seq[Param[_]](
      featuresCols,
      featuresScales,
      labelCols,
      losses,
      lossWeights,
      outputCols
    ) ++ super.loggedParams
}

object NetworkEstimator extends MLReadable[NetworkEstimator] {
  override def read: MLReader[NetworkEstimator] =
    new EstimatorReader(classOf[NetworkEstimator].getName, new NetworkEstimator(_))

  override def load(path: String): NetworkEstimator = super.load(path)
}
