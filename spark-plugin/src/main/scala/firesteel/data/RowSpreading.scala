package firesteel.data

import org.apache.spark.rdd.RDD
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.firesteel.SqlPrivate

/** The planned read of each task's rows.
  *
  * @param read
  *   the read, with a partition for each task
  * @param decision
  *   the decision about it and its reason
  */
private[data] final case class SpreadRead(read: PlannedRead, decision: Option[String])

/** Assigns rows to tasks: the DataFrame's own partitions in groups if those are even and fair samples of all rows, else
  * the partitions of a shuffle.
  */
private[data] object RowSpreading {

  /** The maximum ratio of the largest group of partitions to the mean number of rows. */
  val Evenness = 1.1

  /** The number of partitions for each task whose features are sampled. */
  private val SampledPartitions = 16

  /** Plans the read of a plan's columns in exactly `tasks` partitions. */
  def plan(df: DataFrame, plan: DataPlan, tasks: Int): SpreadRead = {
    val found = new RowSpreading(df, plan, tasks).plan
    found.copy(read = ReadPlanner.withPartitions(found.read, tasks))
  }

  /** Returns the partitions whose features are sampled: all, or evenly spaced ones if there are many. */
  private def sampled(partitions: Int, tasks: Int): Set[Int] = {
    val most = math.min(partitions.toLong, SampledPartitions.toLong * tasks)
    (0L until most).map(index => (index * partitions / most).toInt).toSet
  }
}

private final class RowSpreading(df: DataFrame, data: DataPlan, tasks: Int) {
  import RowSpreading._

  private val pruned = ReadPlanner.prune(df, data.columns)
  private val physical = SqlPrivate.execution(pruned).executedPlan
  private lazy val own = ReadPlanner.execute(pruned, data.columns)

  def plan: SpreadRead =
    if (PlanShape.isRepartitioned(physical, tasks)) {
      SpreadRead(own, readInPlace(s"as the DataFrame was repartitioned into $tasks"))
    } else if (tasks == 1) singleTask
    else
      data.spread match {
        case SpreadRows.Always => shuffled("as spreadRows is always")
        case SpreadRows.Never => inPlace
        case SpreadRows.Auto if !PlanShape.isScan(physical) =>
          shuffled("as they come neither from files nor from a cache")
        case SpreadRows.Auto if own.rdd.getNumPartitions < tasks => shuffled(tooFew)
        case SpreadRows.Auto if PlanShape.isDealt(physical) =>
          bySize(countRows, Evenness)
            .map(read =>
              SpreadRead(read, readInPlace("as the DataFrame was repartitioned by number"))
            )
            .getOrElse(shuffled(uneven))
        case SpreadRows.Auto => fairly
      }

  /** Plans one task for all rows. A plan that computes them keeps its own tasks, unless the rows must keep their order. */
  private def singleTask: SpreadRead =
    if (PlanShape.isScan(physical) || data.spread == SpreadRows.Never)
      SpreadRead(own.grouped(EvenGroups.single), None)
    else SpreadRead(repartitioned, None)

  private def inPlace: SpreadRead =
    if (own.rdd.getNumPartitions < tasks) shuffled(s"$tooFew, though spreadRows is never")
    else {
      // Counting the rows of a plan that computes them would compute them twice.
      val rows =
        if (PlanShape.isScan(physical)) countRows
        else Some(Array.fill(own.rdd.getNumPartitions)(1L))
      bySize(rows, Double.PositiveInfinity)
        .map(read => SpreadRead(read, readInPlace("as spreadRows is never")))
        .getOrElse(shuffled("as the rows of the DataFrame's partitions were not counted"))
    }

  private def fairly: SpreadRead = {
    val statisticsPlan = StatisticsPlan.of(data)
    val found = for {
      statistics <- computeStatistics(statisticsPlan)
      bySize <- EvenGroups(statistics.map(_.rows), own.locations, tasks, Evenness)
    } yield SampleDifference.worst(
      statisticsPlan,
      FairGroups.merged(bySize.groups, statistics)
    ) match {
      case None =>
        SpreadRead(own.grouped(bySize), readInPlace("which are alike in labels and features"))
      case Some(difference) =>
        FairGroups(statisticsPlan, statistics, own.locations, tasks, Evenness) match {
          case Some(fair) =>
            val why = s"chosen so that these are alike: by size alone ${difference.text}"
            SpreadRead(own.grouped(fair), readInPlace(why))
          case None =>
            shuffled(
              s"as ${difference.text} otherwise; spreadRows = never reads them in place"
            )
        }
    }
    found.getOrElse(shuffled(uneven))
  }

  private def bySize(rows: Option[Array[Long]], evenness: Double): Option[PlannedRead] =
    rows.flatMap(EvenGroups(_, own.locations, tasks, evenness)).map(own.grouped)

  private def shuffled(why: String): SpreadRead =
    SpreadRead(repartitioned, Some(s"rows were shuffled over $tasks tasks, $why"))

  private def repartitioned: PlannedRead =
    ReadPlanner.execute(pruned.repartition(tasks), data.columns)

  private def readInPlace(why: String): Option[String] = Some(
    s"rows were read in place, from ${own.rdd.getNumPartitions} partitions by $tasks tasks, $why"
  )

  private def tooFew: String =
    s"as the DataFrame has fewer partitions (${own.rdd.getNumPartitions})"

  private def uneven: String = "as the DataFrame's partitions differ in size"

  /** Counts the rows of each partition without reading a column, unless the partitions differ then. */
  private def countRows: Option[Array[Long]] = {
    val counts = ReadPlanner.execute(pruned.select(), Nil) match {
      case RowRead(rdd, _) =>
        rdd.mapPartitions(rows => Iterator.single(rows.foldLeft(0L)((n, _) => n + 1)))
      case ColumnarRead(rdd, _) =>
        rdd.mapPartitions(batches => Iterator.single(batches.foldLeft(0L)(_ + _.numRows)))
    }
    collectIfAligned(counts)
  }

  /** Computes the statistics of each partition, unless the partitions differ when only some columns are read. */
  private def computeStatistics(statisticsPlan: StatisticsPlan): Option[Array[RowStatistics]] = {
    val exact = only(statisticsPlan.exact)
    val features = only(statisticsPlan.features.map(_.name))
    if (exact.rdd.getNumPartitions != features.rdd.getNumPartitions) None
    else {
      val task = StatisticsTask(statisticsPlan, exact.source, features.source)
      val sampledPartitions = sampled(exact.rdd.getNumPartitions, tasks)
      val rows = exact.rows.mapPartitionsWithIndex((index, rows) => Iterator.single((index, rows)))
      collectIfAligned(rows.zipPartitions(features.rows) { (all, sample) =>
        all.map { case (index, rows) =>
          task(rows, if (sampledPartitions(index)) sample else Iterator.empty)
        }
      })
    }
  }

  private def only(columns: Seq[String]): PlannedRead =
    ReadPlanner.execute(ReadPlanner.prune(pruned, columns), columns)

  private def collectIfAligned[A](ofPartitions: RDD[A]): Option[Array[A]] =
    if (ofPartitions.getNumPartitions == own.rdd.getNumPartitions) Some(ofPartitions.collect())
    else None
}
