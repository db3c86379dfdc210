package firesteel.classification

import firesteel.params.InputRequests
import org.apache.spark.ml.attribute.{AttributeGroup, NominalAttribute}
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.ml.param.shared.{HasPredictionCol, HasProbabilityCol, HasRawPredictionCol}
import org.apache.spark.sql.types.{DoubleType, Metadata, StructField, StructType}

/** The columns that a classifier puts out. One whose name is empty is not produced. */
private[classification] trait ClassificationParams
    extends InputRequests
    with HasRawPredictionCol
    with HasProbabilityCol
    with HasPredictionCol {

  /** The schema with the output columns, their metadata included where the classes are known. */
  protected final def outputSchema(schema: StructType, classes: Option[Classes]): StructType =
    outputFields(classes).foldLeft(schema) { (before, field) =>
      require(!before.fieldNames.contains(field.name), s"Column ${field.name} already exists.")
      before.add(field)
    }

  /** The output columns: raw prediction, probability, prediction. */
  protected final def outputFields(classes: Option[Classes]): Seq[StructField] = {
    def vector(name: String): StructField =
      StructField(name, VectorType, nullable = false, metadata(classes)(_.vector(name)))
    Seq(
      vector($(rawPredictionCol)),
      vector($(probabilityCol)),
      StructField(
        $(predictionCol),
        DoubleType,
        nullable = false,
        metadata(classes)(_.index($(predictionCol)))
      )
    ).filter(_.name.nonEmpty)
  }

  private def metadata(classes: Option[Classes])(of: Classes => Metadata): Metadata =
    classes.fold(Metadata.empty)(of)
}

/** The classes of a model.
  *
  * @param number
  *   how many
  * @param names
  *   what they are called, where the label's metadata said so
  */
private[classification] final case class Classes(number: Int, names: Option[Seq[String]]) {

  /** The metadata of a column of vectors with a value for each class. */
  def vector(column: String): Metadata = new AttributeGroup(column, number).toMetadata()

  /** The metadata of a column of class indices. */
  def index(column: String): Metadata = {
    val attribute = NominalAttribute.defaultAttr.withName(column)
    names
      .filter(_.size == number)
      .fold(attribute.withNumValues(number))(values => attribute.withValues(values.toArray))
      .toMetadata()
  }
}
