package firesteel.prediction

import firesteel.data.ColumnResolver
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.catalyst.expressions.{Alias, Attribute, AttributeReference}
import org.apache.spark.sql.catalyst.plans.logical.Project
import org.apache.spark.sql.firesteel.SqlPrivate
import org.apache.spark.sql.types.{Metadata, StructField}

/** A column that a transform appends.
  *
  * @param name
  *   the column's name
  * @param kind
  *   the content of the column
  * @param metadata
  *   the column's metadata, such as its ML attributes
  */
private[firesteel] final case class OutputColumn(
    name: String,
    kind: OutputKind,
    metadata: Metadata = Metadata.empty
) {

  /** The field of the column in the result's schema. */
  def field: StructField = StructField(name, kind.dataType, nullable = false, metadata)
}

/** Appends predictions to a DataFrame, batch or streaming, by a physical operator. */
private[firesteel] object Predictions {

  /** Returns the DataFrame with a further column for each of `outputs`. Runs no job; an output that a query does not
    * use is not computed.
    *
    * @param df
    *   any DataFrame that has the columns of the predictor's plan
    * @param predictor
    *   the predictor; its outputs are those of `outputs`, in order
    * @param names
    *   the new columns, one for each of the predictor's outputs
    * @return
    *   the columns of `df`, then the new ones
    */
  def append(df: DataFrame, predictor: Predictor, outputs: Seq[OutputColumn]): DataFrame = {
    require(
      outputs.map(_.kind) == predictor.outputs,
      "the predictor's outputs are not those of the columns"
    )
    if (outputs.isEmpty) df
    else {
      PredictionExtensions.register(df.sparkSession)
      val child = SqlPrivate.logicalPlan(df)
      val inputs = predictor.data.columns.map { name =>
        val index = df.schema.fieldIndex(ColumnResolver.field(df.schema, name).name)
        child.output(index)
      }
      val computed: Seq[Attribute] = outputs.map { column =>
        AttributeReference(column.name, column.kind.dataType, nullable = false, column.metadata)()
      }
      val node = PredictionNode(predictor, inputs, child.output, computed, child)
      // Fresh ids for each use: without them a self-join of the result does not resolve.
      val fresh = computed.map(attribute => Alias(attribute, attribute.name)())
      SqlPrivate.dataFrame(df, Project(child.output ++ fresh, node))
    }
  }
}
