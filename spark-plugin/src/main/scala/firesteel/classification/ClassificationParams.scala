package firesteel.classification

import firesteel.model.OutputSchema
import firesteel.params.InputRequests
import org.apache.spark.ml.attribute.{AttributeGroup, NominalAttribute}
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.ml.param.shared.{
  HasPredictionCol,
  HasProbabilityCol,
  HasRawPredictionCol,
  HasThresholds
}
import org.apache.spark.sql.types.{DataType, DoubleType, Metadata, StructField, StructType}

/** The output columns of a classifier. A column with an empty name is not produced. */
private[classification] trait ClassificationParams
    extends InputRequests
    with HasRawPredictionCol
    with HasProbabilityCol
    with HasPredictionCol
    with HasThresholds {

  /** Checks that there is a threshold for each class, if thresholds are set. */
  protected final def checkThresholds(classes: Int): Unit = get(thresholds).foreach { values =>
    require(
      values.length == classes,
      s"$uid has ${values.length} thresholds, but the network has $classes classes; set one for each"
    )
  }

  /** Returns the schema with the output columns, with their metadata where the classes are known. */
  protected final def outputSchema(schema: StructType, classes: Option[Classes]): StructType =
    OutputSchema.append(schema, outputFields(classes))

  /** The output columns: raw prediction, probability, prediction. */
  protected final def outputFields(classes: Option[Classes]): Seq[StructField] = {
    def field(name: String, dataType: DataType)(of: Classes => Metadata): Option[StructField] =
      if (name.isEmpty) None
      else {
        val metadata = classes.fold(Metadata.empty)(of)
        Some(StructField(name, dataType, nullable = false, metadata))
      }
    val (raw, probability) = ($(rawPredictionCol), $(probabilityCol))
    val fields = Seq(
      field(raw, VectorType)(_.vector(raw)),
      field(probability, VectorType)(_.vector(probability)),
      field($(predictionCol), DoubleType)(_.index($(predictionCol)))
    )
    fields.flatten
  }
}

/** The classes of a model.
  *
  * @param number
  *   the number of classes
  * @param names
  *   the names of the classes, where the label's metadata has them
  */
private[classification] final case class Classes(number: Int, names: Option[Seq[String]]) {

  /** Returns the metadata of a column of vectors with a value for each class. */
  def vector(column: String): Metadata = new AttributeGroup(column, number).toMetadata()

  /** Returns the metadata of a column of class indices. */
  def index(column: String): Metadata = {
    val attribute = NominalAttribute.defaultAttr.withName(column)
    names
      .filter(_.size == number)
      .fold(attribute.withNumValues(number))(values => attribute.withValues(values.toArray))
      .toMetadata()
  }
}
