package org.apache.spark.sql.firesteel

import org.apache.arrow.memory.BufferAllocator
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan
import org.apache.spark.sql.classic.Dataset
import org.apache.spark.sql.execution.columnar.ColumnAccessor
import org.apache.spark.sql.execution.vectorized.WritableColumnVector
import org.apache.spark.sql.execution.{QueryExecution, SQLExecution, SQLExecutionRDD}
import org.apache.spark.sql.types.DataType
import org.apache.spark.sql.util.ArrowUtils
import org.apache.spark.sql.{classic, DataFrame}

/** All uses of Spark's API that is private to its package `sql`. */
object SqlPrivate {

  /** Returns a new allocator under Spark's root, so that Spark's own Arrow buffers can be shared. */
  def allocator(name: String): BufferAllocator =
    ArrowUtils.rootAllocator.newChildAllocator(name, 0, Long.MaxValue)

  /** The bytes of Arrow memory that are in use under Spark's root. */
  def allocated: Long = ArrowUtils.rootAllocator.getAllocatedMemory

  /** Returns the logical plan of a DataFrame. */
  def logicalPlan(df: DataFrame): LogicalPlan = classicOf(df).logicalPlan

  /** Returns the execution of a DataFrame. */
  def execution(df: DataFrame): QueryExecution = classicOf(df).queryExecution

  /** Returns the first row of a DataFrame in Spark's internal form. `take` is not used, since it compiles a
    * deserializer of rows before it reads one.
    */
  def firstRow(df: DataFrame): Option[InternalRow] = {
    val execution = classicOf(df.limit(1)).queryExecution
    SQLExecution
      .withSQLConfPropagated(execution.sparkSession)(execution.executedPlan.executeCollect())
      .headOption
  }

  /** Plans a query and compiles its code; runs no job. */
  def compile(df: DataFrame): Unit = {
    val _ = execution(df).executedPlan.execute().getNumPartitions
  }

  /** Returns a DataFrame over another plan, of the same session. */
  def dataFrame(df: DataFrame, plan: LogicalPlan): DataFrame =
    Dataset.ofRows(classicOf(df).sparkSession, plan)

  /** Returns the RDD of an executed plan under the SQL configuration of its session. */
  def configured[T](rdd: RDD[T], execution: QueryExecution): RDD[T] =
    new SQLExecutionRDD(
      rdd.asInstanceOf[RDD[InternalRow]],
      execution.sparkSession.sessionState.conf
    ).asInstanceOf[RDD[T]]

  /** Decodes a column of plain numbers of Spark's default cache. */
  def decompress(
      bytes: Array[Byte],
      vector: WritableColumnVector,
      dataType: DataType,
      rows: Int
  ): Unit = ColumnAccessor.decompress(bytes, vector, dataType, rows)

  private def classicOf(df: DataFrame): classic.DataFrame = df match {
    case classic: Dataset[_] => classic.asInstanceOf[Dataset[org.apache.spark.sql.Row]]
    case _ => throw new IllegalArgumentException("the DataFrame belongs to a remote session")
  }
}
