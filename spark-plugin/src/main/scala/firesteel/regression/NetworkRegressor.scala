package firesteel.regression

import firesteel.data.{LabelColumn, LabelKind}
import firesteel.fit.{FitData, OutputObjective, PreparedFit, SingleOutputTrainer}
import firesteel.model.EstimatorReader
import firesteel.params.{HuberSetter, LossSetter, Losses, NetworkSetter, TrainingSetters}
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.ml.linalg.Vector
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.regression.Regressor
import org.apache.spark.ml.util.{DefaultParamsWritable, Identifiable, MLReadable, MLReader}
import org.apache.spark.sql.Dataset
import org.apache.spark.sql.types.{DoubleType, StructType}

/** Neural network regression.
  *
  * Features are one column of ML vectors, of arrays of a numeric type or of binary, or several numeric columns. The label
  * is a numeric column for a network with one value, and for one with n values a column of ML vectors or of numeric arrays
  * of n values.
  *
  * The losses are `mse_loss`, which is the default, `l1_loss`, `smooth_l1_loss`, `huber_loss` with `huberDelta`;
  * `poisson_nll_loss` for counts, for which the network and the predictions give the logarithm of the rate;
  * `binary_cross_entropy_with_logits` for shares between 0 and 1, of which a trailing `Sigmoid` becomes a part.
  *
  * {{{
  * val network = Network.sequential(Linear(64), ReLU, Linear(1))
  * val model = new NetworkRegressor().setNetwork(network).setEpochs(20).fit(train)
  * }}}
  *
  * The exceptions of `fit` are those of [[firesteel.classification.NetworkClassifier]].
  */
final class NetworkRegressor(override val uid: String)
    extends Regressor[Vector, NetworkRegressor, NetworkRegressionModel]
    with SingleOutputTrainer[NetworkRegressionModel]
    with NetworkSetter
    with LossSetter
    with HuberSetter
    with TrainingSetters
    with DefaultParamsWritable {

  def this() = this(Identifiable.randomUID("networkRegressor"))

  def setFeaturesCols(value: Array[String]): this.type = set(featuresCols, value)
  def setFeaturesScale(value: Double): this.type = set(featuresScale, value)
  def setWeightCol(value: String): this.type = set(weightCol, value)

  override protected def losses: Seq[String] = RegressionObjective.losses

  override def transformSchema(schema: StructType): StructType = {
    checkColumns(schema, Seq(RegressionObjective.label(schema, $(labelCol))))
    val several = RegressionObjective.isSeveral(schema, $(labelCol))
    RegressionOutput.append(schema, $(predictionCol), if (several) VectorType else DoubleType)
  }

  override protected def train(dataset: Dataset[_]): NetworkRegressionModel = trainOne(dataset)

  override protected def prepare(data: FitData): PreparedFit[NetworkRegressionModel] =
    prepareNetwork(data) { inspection =>
      val output = inspection.onlyOutput("a regressor")
      val label = LabelColumn($(labelCol), LabelKind.Values(output.size))
      val chosen = lossSpec(get(loss).getOrElse(Losses.MseLoss))
      Seq(OutputObjective(label, chosen))
    }(new NetworkRegressionModel(uid, _))

  override def copy(extra: ParamMap): NetworkRegressor = defaultCopy(extra)
}

object NetworkRegressor extends MLReadable[NetworkRegressor] {
  override def read: MLReader[NetworkRegressor] =
    new EstimatorReader(classOf[NetworkRegressor].getName, new NetworkRegressor(_))

  override def load(path: String): NetworkRegressor = super.load(path)
}
