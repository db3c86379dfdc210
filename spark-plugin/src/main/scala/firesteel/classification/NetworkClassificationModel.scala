package firesteel.classification

import firesteel.data.ColumnResolver
import firesteel.model.{FittedNetwork, ModelReader, ModelWriter, TrainedModel}
import firesteel.network.OutputInspection
import firesteel.params.{LossParams, TrainingParams}
import firesteel.prediction.{OutputColumn, OutputKind}
import org.apache.spark.ml.classification.ProbabilisticClassificationModel
import org.apache.spark.ml.linalg.{DenseVector, Vector, Vectors}
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.param.shared.HasWeightCol
import org.apache.spark.ml.util.{Identifiable, MLReadable, MLReader, MLWritable, MLWriter}
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.{DataFrame, Dataset}

/** Model fitted by [[NetworkClassifier]].
  *
  * `transform` appends columns, to batch and to streaming DataFrames: `rawPrediction`, the logits (for a network with a
  * single output z the vector [-z, z]); `probability`; `prediction`, the class index, which carries the names of the
  * classes where the label had them. Thresholds are applied as by Spark's own classifiers.
  */
final class NetworkClassificationModel private[firesteel] (
    override val uid: String,
    private[firesteel] val fitted: FittedNetwork,
    labels: Option[Seq[String]]
) extends ProbabilisticClassificationModel[Vector, NetworkClassificationModel]
    with ClassificationParams
    with TrainingParams
    with LossParams
    with HasWeightCol
    with TrainedModel
    with MLWritable {

  private[firesteel] def this() =
    this(Identifiable.randomUID("networkClassificationModel"), FittedNetwork.none, None)

  private[firesteel] override def task: String = "classification"

  override def numClasses: Int = ClassificationObjective.classesOf(fitted.output.size)

  override def numFeatures: Int = fitted.inputSize

  def setFeaturesCols(value: Array[String]): this.type = set(featuresCols, value)
  def setFeaturesScale(value: Double): this.type = set(featuresScale, value)

  override protected def losses: Seq[String] = ClassificationObjective.losses

  private def classes: Classes = Classes(numClasses, labels)

  override def transformSchema(schema: StructType): StructType = {
    ColumnResolver.check(schema, Seq(inputRequest(network, schema)), Nil)
    outputSchema(schema, Some(classes))
  }

  override def transform(dataset: Dataset[_]): DataFrame = {
    transformSchema(dataset.schema, logging = true)
    checkThresholds(numClasses)
    val requests = Seq(inputRequest(network, dataset.schema))
    append(dataset, requests, outputColumns, get(thresholds).toSeq.flatten)
  }

  private def outputColumns: Seq[OutputColumn] = {
    val kinds = Map(
      $(rawPredictionCol) -> OutputKind.RawPrediction,
      $(probabilityCol) -> OutputKind.Probability,
      $(predictionCol) -> OutputKind.Prediction
    )
    outputFields(Some(classes)).map(f => OutputColumn(f.name, kinds(f.name), f.metadata))
  }

  /** Predicts the logits of one row; for many rows `transform` is much faster. The features are those of a column of
    * vectors: a model that was fitted on bytes reads them scaled, unless `featuresScale` is set.
    */
  override def predictRaw(features: Vector): Vector = {
    val scale = get(featuresScale).getOrElse(1.0)
    Vectors.dense(ofRow(features, $(featuresCol), scale, OutputKind.RawPrediction))
  }

  /** Turns logits into probabilities, in place. */
  override protected def raw2probabilityInPlace(rawPrediction: Vector): Vector =
    rawPrediction match {
      case logits: DenseVector =>
        val sigmoid = fitted.output.activation == OutputInspection.Sigmoid
        if (sigmoid || fitted.output.size == 1) Logits.sigmoid(logits.values)
        else Logits.softmax(logits.values)
        logits
      case other => raw2probabilityInPlace(other.toDense)
    }

  override def copy(extra: ParamMap): NetworkClassificationModel =
    copyValues(new NetworkClassificationModel(uid, fitted, labels), extra).setParent(parent)

  override def write: MLWriter = new ModelWriter(this, fitted, labels)

  override def toString: String =
    s"NetworkClassificationModel: uid=$uid, numClasses=$numClasses, numFeatures=$numFeatures"
}

object NetworkClassificationModel extends MLReadable[NetworkClassificationModel] {
  override def read: MLReader[NetworkClassificationModel] =
    new ModelReader(
      classOf[NetworkClassificationModel].getName,
      new NetworkClassificationModel(_, _, _)
    )

  override def load(path: String): NetworkClassificationModel = super.load(path)
}

/** Converts logits to probabilities, in place. */
private object Logits {

  /** Applies the sigmoid to each value and normalises the values to a sum of 1, which `[-z, z]` has anyway. */
  def sigmoid(values: Array[Double]): Unit = {
    values.indices.foreach(i => values(i) = 1 / (1 + math.exp(-values(i))))
    normalise(values)
  }

  def softmax(values: Array[Double]): Unit = {
    val largest = values.max
    values.indices.foreach(i => values(i) = math.exp(values(i) - largest))
    normalise(values)
  }

  private def normalise(values: Array[Double]): Unit = {
    val sum = values.sum
    values.indices.foreach(i => values(i) /= sum)
  }
}
