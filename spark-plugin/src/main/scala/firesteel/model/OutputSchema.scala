package firesteel.model

import org.apache.spark.sql.types.{StructField, StructType}

/** The schema of a transform. */
private[firesteel] object OutputSchema {

  /** Returns a schema with further columns.
    *
    * @throws java.lang.IllegalArgumentException
    *   naming the column that exists already
    */
  def append(schema: StructType, fields: Seq[StructField]): StructType =
    fields.foldLeft(schema) { (before, field) =>
      require(!before.fieldNames.contains(field.name), s"Column ${field.name} already exists.")
      before.add(field)
    }
}
