package firesteel.classification

import firesteel.data.{ColumnResolver, LabelColumn, LabelKind}
import firesteel.fit.{FitData, PreparedFit, SingleOutputTrainer}
import firesteel.model.EstimatorReader
import firesteel.params.{LossSetter, NetworkSetter, TrainingSetters}
import org.apache.spark.ml.classification.ProbabilisticClassifier
import org.apache.spark.ml.linalg.Vector
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.util.{DefaultParamsWritable, Identifiable, MLReadable, MLReader}
import org.apache.spark.sql.Dataset
import org.apache.spark.sql.types.StructType

/** Neural network classification.
  *
  * Features are one column of ML vectors, of arrays of a numeric type or of binary, or several numeric columns; labels
  * are class indices from 0, of any numeric type. The network has one output value for each class, or a single one for
  * two classes; a trailing `Softmax` or `Sigmoid` becomes a part of the loss.
  *
  * {{{
  * val network = Network.sequential(Linear(500), ReLU, Linear(10), Softmax)
  * val model = new NetworkClassifier().setNetwork(network).setEpochs(3).fit(train)
  * }}}
  *
  * `fit` runs one Spark job and never returns an untrained model. It throws an `IllegalArgumentException` for missing or
  * invalid columns and options, and one of the exceptions of `firesteel.bridge` for failures of the training.
  */
final class NetworkClassifier(override val uid: String)
    extends ProbabilisticClassifier[Vector, NetworkClassifier, NetworkClassificationModel]
    with ClassificationParams
    with SingleOutputTrainer[NetworkClassificationModel]
    with NetworkSetter
    with LossSetter
    with TrainingSetters
    with DefaultParamsWritable {

  def this() = this(Identifiable.randomUID("networkClassifier"))

  def setFeaturesCols(value: Array[String]): this.type = set(featuresCols, value)
  def setFeaturesScale(value: Double): this.type = set(featuresScale, value)
  def setWeightCol(value: String): this.type = set(weightCol, value)

  override protected def losses: Seq[String] = ClassificationObjective.losses

  override def transformSchema(schema: StructType): StructType = {
    checkColumns(schema, Seq(LabelColumn($(labelCol), LabelKind.Class(2))))
    outputSchema(schema, None)
  }

  override protected def train(dataset: Dataset[_]): NetworkClassificationModel = trainOne(dataset)

  override protected def prepare(data: FitData): PreparedFit[NetworkClassificationModel] = {
    val label = ColumnResolver.field(data.df.schema, $(labelCol))
    prepareNetwork(data) { inspection =>
      val objective = ClassificationObjective.objective(inspection, label, get(loss))
      checkThresholds(ClassificationObjective.classesOf(inspection.outputs.head.size))
      Seq(objective)
    }(new NetworkClassificationModel(uid, _, ClassificationObjective.names(label)))
  }

  override def copy(extra: ParamMap): NetworkClassifier = defaultCopy(extra)
}

object NetworkClassifier extends MLReadable[NetworkClassifier] {
  override def read: MLReader[NetworkClassifier] =
    new EstimatorReader(classOf[NetworkClassifier].getName, new NetworkClassifier(_))

  override def load(path: String): NetworkClassifier = super.load(path)
}
