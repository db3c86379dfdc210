package firesteel.regression

import firesteel.data.ColumnResolver
import firesteel.model.{FittedNetwork, ModelReader, ModelWriter, TrainedModel}
import firesteel.params.{HuberParams, InputRequests, LossParams, TrainingParams}
import firesteel.prediction.{OutputColumn, OutputKind}
import org.apache.spark.ml.linalg.{Vector, Vectors}
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.param.shared.HasWeightCol
import org.apache.spark.ml.regression.RegressionModel
import org.apache.spark.ml.util.{Identifiable, MLReadable, MLReader, MLWritable, MLWriter}
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.{DataFrame, Dataset}

/** Model fitted by [[NetworkRegressor]].
  *
  * `transform` appends the column `prediction` to batch and to streaming DataFrames: a double, or for a network with
  * several values a vector of them.
  */
final class NetworkRegressionModel private[firesteel] (
    override val uid: String,
    private[firesteel] val fitted: FittedNetwork
) extends RegressionModel[Vector, NetworkRegressionModel]
    with InputRequests
    with TrainingParams
    with LossParams
    with HuberParams
    with HasWeightCol
    with TrainedModel
    with MLWritable {

  private[firesteel] def this() =
    this(Identifiable.randomUID("networkRegressionModel"), FittedNetwork.none)

  private[firesteel] override def task: String = "regression"

  override def numFeatures: Int = fitted.inputSize

  /** The number of values that the model predicts for a row. */
  def numOutputs: Int = fitted.output.size

  def setFeaturesCols(value: Array[String]): this.type = set(featuresCols, value)
  def setFeaturesScale(value: Double): this.type = set(featuresScale, value)

  override protected def losses: Seq[String] = RegressionObjective.losses

  private def kind: OutputKind =
    if (numOutputs == 1) OutputKind.Prediction else OutputKind.Predictions

  override def transformSchema(schema: StructType): StructType = {
    ColumnResolver.check(schema, Seq(inputRequest(network, schema)), Nil)
    val name = $(predictionCol)
    RegressionOutput.append(
      schema,
      name,
      kind.dataType,
      RegressionOutput.metadata(name, numOutputs)
    )
  }

  override def transform(dataset: Dataset[_]): DataFrame = {
    val result = transformSchema(dataset.schema, logging = true)
    val added = result.drop(dataset.schema.length)
    val requests = Seq(inputRequest(network, dataset.schema))
    append(dataset, requests, added.map(field => OutputColumn(field.name, kind, field.metadata)))
  }

  /** Predicts the value of one row; for many rows `transform` is much faster. The features are those of a column of
    * vectors: a model that was fitted on bytes reads them scaled, unless `featuresScale` is set.
    *
    * @throws java.lang.IllegalArgumentException
    *   when the network has several values; see [[predictValues]]
    */
  override def predict(features: Vector): Double = {
    require(
      numOutputs == 1,
      s"$uid predicts $numOutputs values for a row; predictValues gives all of them"
    )
    valuesOf(features).head
  }

  /** Predicts all values of one row, for networks with any number of values. */
  def predictValues(features: Vector): Vector = Vectors.dense(valuesOf(features))

  private def valuesOf(features: Vector): Array[Double] =
    ofRow(features, $(featuresCol), get(featuresScale).getOrElse(1.0), kind)

  override def copy(extra: ParamMap): NetworkRegressionModel =
    copyValues(new NetworkRegressionModel(uid, fitted), extra).setParent(parent)

  override def write: MLWriter = new ModelWriter(this, fitted, None)

  override def toString: String =
    s"NetworkRegressionModel: uid=$uid, numFeatures=$numFeatures, numOutputs=$numOutputs"
}

object NetworkRegressionModel extends MLReadable[NetworkRegressionModel] {
  override def read: MLReader[NetworkRegressionModel] =
    new ModelReader(
      classOf[NetworkRegressionModel].getName,
      (uid, fitted, _) => new NetworkRegressionModel(uid, fitted)
    )

  override def load(path: String): NetworkRegressionModel = super.load(path)
}
