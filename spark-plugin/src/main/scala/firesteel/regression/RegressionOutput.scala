package firesteel.regression

import firesteel.model.OutputSchema
import org.apache.spark.ml.attribute.{AttributeGroup, NumericAttribute}
import org.apache.spark.sql.types.{DataType, Metadata, StructField, StructType}

/** The output column of a regressor; not produced if its name is empty. */
private[regression] object RegressionOutput {

  /** Returns the schema with the column. */
  def append(
      schema: StructType,
      name: String,
      dataType: DataType,
      metadata: => Metadata = Metadata.empty
  ): StructType =
    if (name.isEmpty) schema
    else {
      val field = StructField(name, dataType, nullable = false, metadata)
      OutputSchema.append(schema, Seq(field))
    }

  /** Returns the metadata of a column with this many values a row. */
  def metadata(name: String, size: Int): Metadata =
    if (size == 1) NumericAttribute.defaultAttr.withName(name).toMetadata()
    else new AttributeGroup(name, size).toMetadata()
}
