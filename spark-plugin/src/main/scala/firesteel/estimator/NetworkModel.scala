package firesteel.estimator

import firesteel.data.ColumnResolver
import firesteel.model.{FittedNetwork, ModelReader, ModelWriter, OutputSchema, TrainedModel}
import firesteel.prediction.{OutputColumn, OutputKind}
import org.apache.spark.ml.Model
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.util.{Identifiable, MLReadable, MLReader, MLWritable, MLWriter}
import org.apache.spark.sql.types.StructType
import org.apache.spark.sql.{DataFrame, Dataset}

/** Model fitted by [[NetworkEstimator]].
  *
  * `transform` appends a column for each output to batch and to streaming DataFrames: the output after its last activation,
  * a double if it has one value, else a vector.
  */
final class NetworkModel private[firesteel] (
    override val uid: String,
    private[firesteel] val fitted: FittedNetwork
) extends Model[NetworkModel]
    with EstimatorParams
    with TrainedModel
    with MLWritable {

  private[firesteel] def this() =
    this(Identifiable.randomUID("networkModel"), FittedNetwork.none)

  private[firesteel] override def task: String = "outputs"

  /** The number of values of a row over all inputs. */
  def numFeatures: Int = fitted.inputSize

  def setFeaturesCols(value: Array[String]): this.type = set(featuresCols, value)
  def setOutputCols(value: Array[String]): this.type = set(outputCols, value)

  override def transformSchema(schema: StructType): StructType = {
    ColumnResolver.check(schema, requests(network, schema), Nil)
    OutputSchema.append(schema, columns.map(_.field))
  }

  override def transform(dataset: Dataset[_]): DataFrame = {
    transformSchema(dataset.schema, logging = true)
    append(dataset, requests(network, dataset.schema), columns)
  }

  private def columns: Seq[OutputColumn] = {
    val sizes = fitted.outputs.map(_.size)
    outputNames(network).zip(sizes).zipWithIndex.flatMap { case ((name, size), index) =>
      OutputFields.fields(Seq(name), Seq(Some(size))).map { field =>
        OutputColumn(field.name, OutputKind.NetworkOutput(index, size), field.metadata)
      }
    }
  }

  override def copy(extra: ParamMap): NetworkModel =
    copyValues(new NetworkModel(uid, fitted), extra).setParent(parent)

  override def write: MLWriter = new ModelWriter(this, fitted, None)

  override def toString: String =
    s"NetworkModel: uid=$uid, ${fitted.inputs.size} inputs, ${fitted.outputs.size} outputs"
}

object NetworkModel extends MLReadable[NetworkModel] {
  override def read: MLReader[NetworkModel] =
    new ModelReader(
      classOf[NetworkModel].getName,
      (uid, fitted, _) => new NetworkModel(uid, fitted)
    )

  override def load(path: String): NetworkModel = super.load(path)
}
