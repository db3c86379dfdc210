package firesteel.prediction

import firesteel.data.{CachedBatches, Source}
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, AttributeSet, Expression, SortOrder}
import org.apache.spark.sql.catalyst.plans.physical.{Partitioning, UnknownPartitioning}
import org.apache.spark.sql.execution.metric.{SQLMetric, SQLMetrics}
import org.apache.spark.sql.execution.{SparkPlan, UnaryExecNode}
import org.apache.spark.sql.types._
import org.apache.spark.sql.vectorized.ColumnarBatch

/** Computes predictions batch by batch and appends them to the columns that pass through; see [[PredictionNode]] for
  * its parameters.
  */
private[firesteel] final case class PredictionExec(
    predictor: Predictor,
    inputs: Seq[Attribute],
    passed: Seq[Attribute],
    computed: Seq[Attribute],
    child: SparkPlan
) extends UnaryExecNode {

  override def output: Seq[Attribute] = passed ++ computed

  override def producedAttributes: AttributeSet = AttributeSet(computed)

  override def outputPartitioning: Partitioning = child.outputPartitioning match {
    case expression: Expression if !expression.references.subsetOf(AttributeSet(passed)) =>
      UnknownPartitioning(child.outputPartitioning.numPartitions)
    case other => other
  }

  override def outputOrdering: Seq[SortOrder] =
    child.outputOrdering.takeWhile(_.references.subsetOf(AttributeSet(passed)))

  /** Columnar if the child is, unless wide columns pass through: converting these to rows later is slower than passing
    * rows. The child is queried each time, since planning replaces it.
    */
  override def supportsColumnar: Boolean =
    child.supportsColumnar && passed.forall(column => isNarrow(column.dataType))

  override lazy val metrics: Map[String, SQLMetric] = Map(
    "numOutputRows" -> SQLMetrics.createMetric(sparkContext, "number of output rows"),
    "numBatches" -> SQLMetrics.createMetric(sparkContext, "number of native batches"),
    "nativeTime" -> SQLMetrics.createNanoTimingMetric(sparkContext, "time in native code")
  )

  /** Spark's default cache of arrays and bytes, of which Spark itself gives only rows, is read by columns. */
  override protected def doExecute(): RDD[InternalRow] = CachedBatches.scanOfLists(child) match {
    case Some(scan) =>
      val task = predictionTask(scan.output)
      CachedBatches.columnarBatches(scan).mapPartitions(task.rowsOfCache)
    case None =>
      val task = predictionTask(child.output)
      child.execute().mapPartitions(task.rows)
  }

  override protected def doExecuteColumnar(): RDD[ColumnarBatch] = {
    val task = predictionTask(child.output)
    child.executeColumnar().mapPartitions(task.batches)
  }

  override protected def withNewChildInternal(newChild: SparkPlan): PredictionExec =
    copy(child = newChild)

  override def simpleString(maxFields: Int): String =
    s"Prediction $predictor ${inputs.map(_.name).mkString("[", ", ", "]")}"

  private def isNarrow(dataType: DataType): Boolean = dataType match {
    case _: NumericType | _: StringType | BooleanType | DateType => true
    case TimestampType | TimestampNTZType => true
    case _ => false
  }

  private def predictionTask(columns: Seq[Attribute]): PredictionTask = {
    val places = predictor.data.columns.zip(inputs).map { case (column, input) =>
      column -> (columns.indexWhere(_.exprId == input.exprId) -> input.dataType)
    }
    PredictionTask(
      predictor.toJson,
      predictor.weights.broadcast(sparkContext),
      predictor.data,
      Source(places.toMap),
      columns,
      passed,
      predictor.outputs,
      longMetric("numOutputRows"),
      longMetric("numBatches"),
      longMetric("nativeTime")
    )
  }
}
