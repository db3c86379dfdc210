package firesteel.data

import scala.reflect.ClassTag

import org.apache.spark.TaskContext
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.DataFrame

/** A planned read: an RDD with a task, and a stream, for each partition.
  *
  * @param rdd
  *   returns one result for each task
  * @param tasks
  *   the number of tasks
  * @param decisions
  *   the decisions about the reading of the rows, a sentence each
  */
private[firesteel] final case class PreparedJob[R](
    rdd: RDD[R],
    tasks: Int,
    decisions: Seq[String] = Nil
)

/** Reads the partitions of a DataFrame as Arrow streams. */
private[firesteel] object PartitionReader {

  /** Plans to read the plan's columns in exactly `tasks` tasks: as columnar batches where Spark has them, else as rows.
    * May run a cheap job that counts rows and reads labels and some features, and the stages on which the DataFrame's
    * own plan depends.
    *
    * @param df
    *   any batch DataFrame
    * @param plan
    *   the columns, as [[ColumnResolver]] found them in `df`
    * @param tasks
    *   the number of tasks; some get no rows if there are fewer rows
    * @param body
    *   the body of each task, given its stream; runs on the executor
    */
  def runTasks[R: ClassTag](df: DataFrame, plan: DataPlan, tasks: Int)(
      body: PartitionStream => R
  ): PreparedJob[R] = {
    require(tasks > 0, s"the number of tasks must be at least 1, not $tasks")
    require(!df.isStreaming, "the DataFrame is streaming; fit needs a batch DataFrame")
    val spread = RowSpreading.plan(df, plan, tasks)
    val results = spread.read match {
      case RowRead(rdd, source) =>
        rdd.mapPartitions(rows => runTask(plan, source, new RowSource(rows), body))
      case ColumnarRead(rdd, source) =>
        rdd.mapPartitions(batches => runTask(plan, source, new VectorSource(batches), body))
    }
    PreparedJob(results, tasks, spread.decision.toSeq)
  }

  private def runTask[R](
      plan: DataPlan,
      source: Source,
      batches: BatchSource,
      body: PartitionStream => R
  ): Iterator[R] = {
    val stream = new TaskStream(TaskContext.get(), plan, source, batches, BatchLimits.Default)
    Iterator.single(body(stream))
  }
}
