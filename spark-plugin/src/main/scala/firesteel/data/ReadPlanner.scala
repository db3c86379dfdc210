package firesteel.data

import scala.reflect.ClassTag

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.execution._
import org.apache.spark.sql.execution.adaptive.AdaptiveSparkPlanExec
import org.apache.spark.sql.firesteel.SqlPrivate
import org.apache.spark.sql.vectorized.ColumnarBatch

/** A planned read of some columns of a DataFrame. */
private[data] sealed trait PlannedRead {
  def source: Source

  /** The partitions, of rows or of columnar batches. */
  def rdd: RDD[_]

  /** Returns the same partitions in groups. */
  def grouped(groups: EvenGroups): PlannedRead

  /** The rows. Each is valid until the next one is requested. */
  def rows: RDD[InternalRow]

  /** The hosts of each partition. */
  final def locations: Array[Seq[String]] = rdd.partitions.map(rdd.preferredLocations)
}

private[data] final case class RowRead(rdd: RDD[InternalRow], source: Source) extends PlannedRead {
  override def grouped(groups: EvenGroups): PlannedRead = RowRead(groups.group(rdd), source)
  override def rows: RDD[InternalRow] = rdd
}

private[data] final case class ColumnarRead(rdd: RDD[ColumnarBatch], source: Source)
    extends PlannedRead {
  override def grouped(groups: EvenGroups): PlannedRead = ColumnarRead(groups.group(rdd), source)
  override def rows: RDD[InternalRow] = rdd.mapPartitions(ValueReader.rows)
}

/** Plans reads: of columnar batches where Spark has them, else of rows. */
private[data] object ReadPlanner {

  /** Selects the columns in the DataFrame's order: any other select would make Spark read rows. */
  def prune(df: DataFrame, columns: Seq[String]): DataFrame = {
    val wanted = columns.map(name => ColumnResolver.field(df.schema, name).name).toSet
    df.select(df.columns.toSeq.filter(wanted.contains).map(ColumnResolver.quoted(df, _)): _*)
  }

  /** Plans the read of columns of a DataFrame in its own partitions, after the stages on which they depend have run. */
  def execute(pruned: DataFrame, columns: Seq[String]): PlannedRead = {
    val execution = SqlPrivate.execution(pruned)
    val physical = execution.executedPlan match {
      case adaptive: AdaptiveSparkPlanExec => adaptive.finalPhysicalPlan
      case other => other
    }
    def source(plan: SparkPlan): Source = Source(columns.map { name =>
      val index = pruned.schema.fieldIndex(ColumnResolver.field(pruned.schema, name).name)
      val attribute = execution.analyzed.output(index)
      name -> (plan.output.indexWhere(_.exprId == attribute.exprId) -> attribute.dataType)
    }.toMap)
    columnar(physical) match {
      case Some((plan, batches)) =>
        ColumnarRead(SqlPrivate.configured(batches, execution), source(plan))
      case None =>
        RowRead(SqlPrivate.configured(physical.execute(), execution), source(physical))
    }
  }

  /** Returns the plan below transitions from columnar batches to rows and below projections that only select columns,
    * with its batches, if it is columnar. Columns are found by their ids, so their order does not matter.
    */
  private def columnar(plan: SparkPlan): Option[(SparkPlan, RDD[ColumnarBatch])] = plan match {
    case WholeStageCodegenExec(child) => columnar(child)
    case InputAdapter(child) => columnar(child)
    case transition: ColumnarToRowTransition => columnar(transition.child)
    case ProjectExec(list, child) if list.forall(PlanShape.isColumn) => columnar(child)
    case other if other.supportsColumnar => Some((other, other.executeColumnar()))
    case other => CachedBatches.scan(other).map(scan => scan -> CachedBatches.columnarBatches(scan))
  }

  /** Restores the number of partitions where Spark's optimizer has changed it for a repartition of no rows or of one
    * row.
    */
  def withPartitions(read: PlannedRead, tasks: Int): PlannedRead = {
    def resized[T: ClassTag](rdd: RDD[T]): RDD[T] = {
      val missing = tasks - rdd.getNumPartitions
      if (missing == 0) rdd
      else if (missing < 0) rdd.coalesce(tasks)
      else rdd.sparkContext.union(rdd, rdd.sparkContext.parallelize(Seq.empty[T], missing))
    }
    read match {
      case RowRead(rdd, source) => RowRead(resized(rdd), source)
      case ColumnarRead(rdd, source) => ColumnarRead(resized(rdd), source)
    }
  }
}
