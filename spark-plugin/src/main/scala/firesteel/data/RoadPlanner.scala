package firesteel.data

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, Expression}
import org.apache.spark.sql.execution._
import org.apache.spark.sql.execution.adaptive.{AdaptiveSparkPlanExec, TableCacheQueryStageExec}
import org.apache.spark.sql.execution.columnar.{InMemoryTableScanExec, InMemoryTableScanLike}
import org.apache.spark.sql.execution.datasources.v2.DataSourceV2ScanExecBase
import org.apache.spark.sql.execution.exchange.{REPARTITION_BY_NUM, ShuffleExchangeLike}
import org.apache.spark.sql.firesteel.SqlPrivate
import org.apache.spark.sql.vectorized.ColumnarBatch

import scala.reflect.ClassTag

/** How the columns of a DataFrame are read. */
private[data] sealed trait Road {
  def source: Source
}

private[data] final case class RowRoad(rdd: RDD[InternalRow], source: Source) extends Road

private[data] final case class VectorRoad(rdd: RDD[ColumnarBatch], source: Source) extends Road

/** Chooses the road and the partitions. */
private[data] object RoadPlanner {

  /** How much larger than the mean the largest group of partitions may be. */
  val Evenness = 1.1

  /** The road to some columns in exactly `tasks` partitions: the DataFrame's own ones if it was
    * repartitioned so, groups of them if it reads files or a cache and they can be grouped evenly,
    * else those of a repartition.
    */
  def plan(df: DataFrame, columns: Seq[String], tasks: Int): Road = {
    val pruned = prune(df, columns)
    val physical = SqlPrivate.execution(pruned).executedPlan
    val own =
      if (isRepartitioned(physical, tasks)) Some(execute(pruned, columns))
      else if (!isScan(physical)) None
      else if (tasks == 1) Some(grouped(execute(pruned, columns), EvenGroups.single))
      else evenly(pruned, columns, tasks)
    exactly(own.getOrElse(execute(pruned.repartition(tasks), columns)), tasks)
  }

  /** Only the columns, in the DataFrame's order: with any change Spark would read by rows. */
  private def prune(df: DataFrame, columns: Seq[String]): DataFrame = {
    val wanted = columns.map(name => ColumnResolver.field(df.schema, name).name).toSet
    df.select(df.columns.toSeq.filter(wanted.contains).map(ColumnResolver.quoted(df, _)): _*)
  }

  private def execute(pruned: DataFrame, columns: Seq[String]): Road = {
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
        VectorRoad(SqlPrivate.configured(batches, execution), source(plan))
      case None =>
        RowRoad(SqlPrivate.configured(physical.execute(), execution), source(physical))
    }
  }

  /** The plan below what turns columnar batches into rows and what only selects columns, with its
    * batches if it is columnar; columns are found by their ids, so their order is nothing to it.
    */
  private def columnar(plan: SparkPlan): Option[(SparkPlan, RDD[ColumnarBatch])] = plan match {
    case WholeStageCodegenExec(child) => columnar(child)
    case InputAdapter(child) => columnar(child)
    case transition: ColumnarToRowTransition => columnar(transition.child)
    case ProjectExec(list, child) if list.forall(isColumn) => columnar(child)
    case other if other.supportsColumnar => Some((other, other.executeColumnar()))
    case stage: TableCacheQueryStageExec => columnar(stage.inMemoryTableScan)
    case scan: InMemoryTableScanExec => CachedBatches.of(scan).map((scan, _))
    case _ => None
  }

  private def isColumn(expression: Expression): Boolean = expression.isInstanceOf[Attribute]

  /** Whether the user's own repartition gives that many partitions. */
  private def isRepartitioned(plan: SparkPlan, tasks: Int): Boolean = plan match {
    case adaptive: AdaptiveSparkPlanExec => isRepartitioned(adaptive.executedPlan, tasks)
    case WholeStageCodegenExec(child) => isRepartitioned(child, tasks)
    case InputAdapter(child) => isRepartitioned(child, tasks)
    case ProjectExec(list, child) if list.forall(isColumn) =>
      isRepartitioned(child, tasks)
    case exchange: ShuffleExchangeLike =>
      exchange.shuffleOrigin == REPARTITION_BY_NUM && exchange.numPartitions == tasks
    case _ => false
  }

  /** Whether a plan reads its sources row by row, so that counting its rows is cheap. */
  private def isScan(plan: SparkPlan): Boolean = plan match {
    case adaptive: AdaptiveSparkPlanExec => isScan(adaptive.executedPlan)
    case WholeStageCodegenExec(child) => isScan(child)
    case InputAdapter(child) => isScan(child)
    case transition: ColumnarToRowTransition => isScan(transition.child)
    case ProjectExec(_, child) => isScan(child)
    case FilterExec(_, child) => isScan(child)
    case union: UnionExec => union.children.forall(isScan)
    case _: InMemoryTableScanLike | _: FileSourceScanLike | _: DataSourceV2ScanExecBase |
        _: LocalTableScanExec | _: RangeExec =>
      true
    case _ => false
  }

  private def evenly(pruned: DataFrame, columns: Seq[String], tasks: Int): Option[Road] = {
    val road = execute(pruned, columns)
    val rows = partitions(road)
    if (rows < tasks) None
    else {
      val counts = countRows(pruned)
      if (counts.length != rows) None
      else EvenGroups(counts, locations(road), tasks, Evenness).map(grouped(road, _))
    }
  }

  /** The rows of each partition, read without any column. */
  private def countRows(pruned: DataFrame): Array[Long] =
    execute(pruned.select(), Nil) match {
      case RowRoad(rdd, _) =>
        rdd.mapPartitions(rows => Iterator.single(rows.foldLeft(0L)((n, _) => n + 1))).collect()
      case VectorRoad(rdd, _) =>
        rdd
          .mapPartitions(batches => Iterator.single(batches.foldLeft(0L)(_ + _.numRows)))
          .collect()
    }

  private def partitions(road: Road): Int = road match {
    case RowRoad(rdd, _) => rdd.getNumPartitions
    case VectorRoad(rdd, _) => rdd.getNumPartitions
  }

  private def locations(road: Road): Array[Seq[String]] = {
    def of(rdd: RDD[_]): Array[Seq[String]] = rdd.partitions.map(rdd.preferredLocations)
    road match {
      case RowRoad(rdd, _) => of(rdd)
      case VectorRoad(rdd, _) => of(rdd)
    }
  }

  private def grouped(road: Road, groups: EvenGroups): Road = {
    def coalesce[T](rdd: RDD[T]): RDD[T] =
      rdd.coalesce(math.max(1, groups.size), shuffle = false, Some(groups))
    road match {
      case RowRoad(rdd, source) => RowRoad(coalesce(rdd), source)
      case VectorRoad(rdd, source) => VectorRoad(coalesce(rdd), source)
    }
  }

  /** Corrects what Spark's optimizer makes of a repartition of no rows or of one. */
  private def exactly(road: Road, tasks: Int): Road = {
    def of[T: ClassTag](rdd: RDD[T]): RDD[T] = {
      val missing = tasks - rdd.getNumPartitions
      if (missing == 0) rdd
      else if (missing < 0) rdd.coalesce(tasks)
      else rdd.sparkContext.union(rdd, rdd.sparkContext.parallelize(Seq.empty[T], missing))
    }
    road match {
      case RowRoad(rdd, source) => RowRoad(of(rdd), source)
      case VectorRoad(rdd, source) => VectorRoad(of(rdd), source)
    }
  }
}
